import {mostPlanBytes} from '../schema/content-plan.ts';

/**
 * The memory of a page thread, in bytes. What is never written takes no memory of the machine: a slot costs as much as
 * the largest output that it received.
 */
const KiB = 1024;
const MiB = 1024 * KiB;

/** Loose copies read and write up to 15 bytes beyond an area. */
const slack = 64;
const after = (area: {at: number; bytes: number}) => area.at + area.bytes + slack;

/** 64 KiB belong to the module's own data. */
const scratch = {at: 64 * KiB, bytes: 128 * KiB};
/** The rowid bounds of the leaves in `leaves`: one more than there are leaves. */
const bounds = {at: after(scratch), bytes: (256 * 2 + 1) * 8};
/** Leaves that were read together. */
const leaves = {at: after(bounds), bytes: 256 * KiB};
/** Inner pages that hold separators: eight of the largest. */
const inner = {at: after(leaves), bytes: 8 * 64 * KiB};
/** Overflow pages that were read together. */
const overflow = {at: after(inner), bytes: 256 * KiB};

/** The plan of the content of the table that is read. */
const content = {at: after(overflow), bytes: mostPlanBytes};

export const areas = {scratch, bounds, leaves, inner, overflow, content};

/** Where slots begin. */
const firstSlot = 2 * MiB;
/** The largest output: a record of 8 MiB. */
const outputBytes = 8 * MiB + 64 * KiB;
/** Two numbers of 4 bytes for every second record at most; a record takes at least 2 bytes, and an output 4 MiB. */
const marksBytes = 8 * MiB;
const slotBytes = outputBytes + marksBytes;

export const outputOf = (slot: number): number => firstSlot + slot * slotBytes;
export const marksOf = (slot: number): number => outputOf(slot) + outputBytes;

/** Memory with room for this many slots, in pages of WebAssembly. */
export const memoryPages = (slots: number): number => Math.ceil((firstSlot + slots * slotBytes) / (64 * KiB));
/** Memory of WebAssembly ends at 4 GiB. */
export const mostMemoryPages = 65536;
