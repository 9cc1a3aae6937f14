import {assert, BkpError} from '../../errors/index.ts';
import type {Key, Store} from '../../stores/index.ts';
import {commitmentOf} from '../crypto/derive.ts';
import type {RawKey, VaultKeys} from '../crypto/vault-keys.ts';
import {listKeyObjects, mendCopies, putRing, putSlotObject, removeKeyObjects} from './key-objects.ts';
import {
  mostSlots,
  newRawKey,
  newRoot,
  openRing,
  parseRing,
  type Ring,
  ringKey,
  type SlotInfo,
  sealRing,
} from './ring.ts';
import {type Kdf, newKdf, type Secret} from './secret.ts';
import {encodeSlot, makeSlot, type OpenedSlot, parseSlot, type Slot, SlotOpener, slotsPrefix} from './slot.ts';
import {type Unlocked, unlock} from './unlock.ts';

export type NewSlot = {secret: Secret; label: string; isKit?: boolean};

type Tools = {
  store: Store;
  nowMs: number;
  /**
   * Required for a store that ignores conditions: waits longer than another process takes from its look for a ring to
   * its put.
   */
  settle?: (() => Promise<void>) | undefined;
};

/**
 * Makes the keys of a new vault, with one slot.
 * @throws BkpError `SECRET_WRONG` if another process made them at the same time, with another secret
 */
export async function createKeys({store, nowMs, settle}: Tools, vault: string, {secret, label, isKit}: NewSlot) {
  const root = newRoot();
  const first = {generation: 1, commitment: commitmentOf(root, vault)};
  const {slot, publicKey, own} = await makeSlot(vault, secret, newKdf(), first);
  const keys = {
    names: newRawKey(vault, nowMs).key,
    data: [newRawKey(vault, nowMs)],
    meta: [newRawKey(vault, nowMs)],
  };
  const info = slotInfo(slot, {secret, label, ...(isKit ? {isKit} : {})}, publicKey, nowMs);
  const {ring, bytes} = sealRing({vault, root, keys, slots: [info]});
  const opened = await requireUsable(slot, own, bytes);
  await putSlotObject(store, slot.id, encodeSlot(slot));
  // Of two creators one wins. The other uses what it finds, if its secret opens that.
  if ((await putRing(store, 1, bytes, settle)) === 'taken') return unlock(store, secret, {vault});
  return {ring, slot: opened};
}

const slotInfo = ({id, kdf}: Slot, {secret, label, isKit}: NewSlot, publicKey: Buffer, nowMs: number): SlotInfo => ({
  id,
  kind: secret.kind,
  label,
  created: new Date(nowMs).toISOString(),
  ...(isKit ? {isKit} : {}),
  public: publicKey.toString('base64'),
  ...(kdf === undefined ? {} : {salt: kdf.salt}),
});

/** A change of who can open a vault, or of the keys that new objects get. */
export type KeyChange = {
  add?: NewSlot | undefined;
  /** Ids of slots. */
  remove?: readonly string[] | undefined;
  /** New keys for new objects: whoever had the old ones cannot read them. The old ones stay in the ring. */
  rotate?: {data: boolean; meta: boolean} | undefined;
  /** `begun`: what is under the older keys will be sealed again. `done`: nothing is under them any more. */
  reencryption?: 'begun' | 'done' | undefined;
  /** Ids of older keys with which nothing is sealed any more. They leave the ring, and the rings before it go. */
  forget?: readonly string[] | undefined;
};

export type KeysChanged = {
  ring: Ring;
  added?: SlotInfo;
  /** False: the change is made, but a second copy of the ring is missing, or what it replaced is still in the store. */
  isComplete: boolean;
  /** Whether the ring has its second copy. */
  isTwice: boolean;
};

/**
 * Writes the next ring. One put decides: before it the old secrets open the vault, after it the new ones, and there is
 * no state in which none does.
 * @throws BkpError `BUSY` if another process changed the keys at the same time: nothing is changed
 *   | `STORE_UNAVAILABLE` if the store stopped answering before it was known whether the ring is there:
 *   {@link isUndecided}
 */
export async function changeKeys(tools: Tools, from: Unlocked, change: KeyChange): Promise<KeysChanged> {
  const {store, nowMs, settle} = tools;
  const {ring: before} = from;
  const {vault, generation, commitment} = before.keys;
  const removed = change.remove ?? [];
  const staying = before.slots.filter(({id}) => !removed.includes(id));
  if (staying.length + (change.add === undefined ? 0 : 1) === 0) throw lastSlot();
  if (staying.length >= mostSlots && change.add !== undefined) throw tooManySlots();

  let added: {info: SlotInfo; slot: Slot; own: Secret} | undefined;
  if (change.add !== undefined) {
    const {secret} = change.add;
    const kdf = sharedKdf(staying);
    const {slot, publicKey, own} = await makeSlot(vault, secret, kdf, {generation, commitment});
    added = {info: slotInfo(slot, change.add, publicKey, nowMs), slot, own};
  }
  const {names, data, meta} = before.keys;
  const now = new Date(nowMs).toISOString();
  const next = (old: readonly RawKey[], rotates = false) => [
    ...without(change.reencryption === 'done' ? allButNewest(old, now) : old, change.forget ?? []),
    ...(rotates ? [newRawKey(vault, nowMs)] : []),
  ];
  const keys = {names, data: next(data, change.rotate?.data), meta: next(meta, change.rotate?.meta)};
  const slots = added === undefined ? staying : [...staying, added.info];
  const reencrypting = {begun: now, done: undefined, unchanged: before.reencrypting}[
    change.reencryption ?? 'unchanged'
  ];
  const firstRing = change.forget === undefined ? before.firstRing : generation + 1;
  const {ring, bytes} = sealRing({vault, root: newRoot(), before, keys, slots, reencrypting, firstRing});
  if (added !== undefined) {
    await requireUsable(added.slot, added.own, bytes);
    await putSlotObject(store, added.slot.id, encodeSlot(added.slot));
  }
  const put = await putRing(store, ring.keys.generation, bytes, settle);
  if (put === 'taken') throw changedMeanwhile(store);
  // Only now: until the ring was there, they were needed. So are those that an earlier change left: whoever made them
  // after the ring before cannot put one any more.
  const outdated = [...removed.map((id) => slotsPrefix + id), ...unnamed(from)];
  // With one copy of the new ring, the one before it would be all that is left after a loss.
  const unused = put === 'written' ? unusedRings(ring, from.objects) : [];
  const areRemoved = await removeKeyObjects(store, [...outdated, ...unused]).catch(() => false);
  const isTwice = put === 'written';
  return {ring, isTwice, isComplete: isTwice && areRemoved, ...(added === undefined ? {} : {added: added.info})};
}

/** The newest one stays in use. */
const allButNewest = (keys: readonly RawKey[], now: string): RawKey[] =>
  keys.map((key, at) => (at === keys.length - 1 || key.retired !== undefined ? key : {...key, retired: now}));

/** The newest one is in use. */
function without(keys: readonly RawKey[], forgotten: readonly string[]): readonly RawKey[] {
  assert(!forgotten.includes(keys.at(-1)!.id), 'the newest key is never forgotten');
  return keys.filter(({id}) => !forgotten.includes(id));
}

/** Slots that were in the store, and not in the ring. */
const unnamed = ({ring, objects}: Unlocked): Key[] =>
  objects.slots.filter((key) => !ring.slots.some(({id}) => slotsPrefix + id === key));

/**
 * Removes rings with keys that were forgotten, which a process that ended left. It may have written one copy of the
 * newest ring: then the other one is written first.
 * @returns false if some are still there
 */
export async function removeUnusedRings(store: Store, {ring, objects}: Unlocked): Promise<boolean> {
  const {vault, generation} = ring.keys;
  const unused = unusedRings(ring, objects);
  if (unused.length === 0) return true;
  await mendCopies(store, [ringKey(generation)], {parse: (bytes, key) => parseRing(bytes, key, vault), isTrial: false});
  return removeKeyObjects(store, unused);
}

/** Rings that are in the store, and have keys that were forgotten. */
export const unusedRings = ({firstRing = 1}: Ring, {generations}: Unlocked['objects']): Key[] =>
  generations.filter((generation) => generation < firstRing).map((generation) => ringKey(generation));

/**
 * All passwords of a vault are derived with the same salt, so that opening tries one password once. It comes from the
 * ring: whoever owns the store could put another one into a slot, for which he has tables.
 */
function sharedKdf(slots: readonly SlotInfo[]): Kdf {
  const salt = slots.find((slot) => slot.salt !== undefined)?.salt;
  return {...newKdf(), ...(salt === undefined ? {} : {salt})};
}

/**
 * Opens what is about to be put, as whoever uses the secret will.
 * @throws Error if that fails: nothing of the vault depends on it yet
 */
async function requireUsable(slot: Slot, secret: Secret, ringBytes: Uint8Array): Promise<OpenedSlot> {
  const {vault, id} = slot;
  const opened = await new SlotOpener(secret).open(parseSlot(encodeSlot(slot), slotsPrefix + id, vault));
  const {generation} = JSON.parse(Buffer.from(ringBytes).toString()) as {generation: number};
  const ring = opened && openRing(parseRing(ringBytes, ringKey(generation), vault), opened);
  assert(opened !== undefined && ring !== undefined, 'a new slot opens the ring that names it');
  return opened;
}

/**
 * Writes lost or damaged copies of slots and rings again, from their other copies.
 * @param options.isTrial write nothing
 * @param options.ring absent: only of the newest ring, because an older one may have keys that were forgotten
 * @returns the keys of what it wrote, or would write
 * @throws BkpError `OBJECT_DAMAGED` if both copies of an object are damaged
 */
export async function mendKeys(
  store: Store,
  vault: string,
  {isTrial = false, ring}: {isTrial?: boolean; ring?: Pick<Ring, 'firstRing'> | undefined} = {},
): Promise<readonly string[]> {
  const {slots, generations} = await listKeyObjects(store);
  const first = ring === undefined ? (generations[0] ?? 1) : (ring.firstRing ?? 1);
  const rings = generations.filter((generation) => generation >= first).map((generation) => ringKey(generation));
  return [
    ...(await mendCopies(store, slots, {parse: (bytes, key) => parseSlot(bytes, key, vault), isTrial})),
    ...(await mendCopies(store, rings, {parse: (bytes, key) => parseRing(bytes, key, vault), isTrial})),
  ];
}

/** A short text that tells a ring from every other one; two people can compare it aloud. */
export const fingerprintOf = ({generation, commitment}: Pick<VaultKeys, 'generation' | 'commitment'>): string =>
  `${generation}-${commitment.slice(0, 4)}-${commitment.slice(4, 8)}-${commitment.slice(8, 12)}`;

const lastSlot = () =>
  new BkpError('PRECONDITION', 'the last slot cannot be removed', {
    cause: 'without it nobody could open the vault any more',
    next: 'add another one first',
  });

const tooManySlots = () =>
  new BkpError('PRECONDITION', `a vault has at most ${mostSlots} slots`, {
    next: 'remove one that is not used',
  });

const changedMeanwhile = (store: Store) =>
  new BkpError('BUSY', `another process has changed the keys of the vault in ${store.description} meanwhile`, {
    next: 'give the command again: nothing was changed',
    retryable: true,
  });
