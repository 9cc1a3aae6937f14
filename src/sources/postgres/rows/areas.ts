import {firstAddress, growTo, type Instance, instantiate, spareBytes} from './module.ts';

/**
 * Memory in which rows stay from the read of the socket to the threads that compress them: the module works on it in
 * place, and because it is shared, threads need no copy. Node would allocate memory for each read, and collecting that
 * as garbage takes a fifth of the CPU of a full backup.
 *
 * It never shrinks. An area that is given back is used again, also by another connection or for another table.
 */
const free = new Map<number, Uint8Array[]>();
/** Growing makes another object of the same memory. */
const buffers = new WeakSet<ArrayBufferLike>();
let instance: Instance | undefined;
let nextAddress = firstAddress;

/** Areas of one size, in bytes; not cleared. */
export function takeArea(bytes: number): Uint8Array {
  const known = free.get(bytes)?.pop();
  if (known !== undefined) return known;
  const {memory} = start();
  const address = nextAddress;
  // Words of 16 bytes are read in place.
  nextAddress = Math.ceil((address + bytes + spareBytes) / 16) * 16;
  growTo(memory, nextAddress);
  buffers.add(memory.buffer);
  return new Uint8Array(memory.buffer, address, bytes);
}

/** @param area nothing uses it any more; given back once */
export function giveArea(area: Uint8Array): void {
  const others = free.get(area.length);
  if (others === undefined) free.set(area.length, [area]);
  else others.push(area);
}

/** The module that works on these bytes in place; undefined if they are not in an area. */
export const moduleOf = ({buffer}: Uint8Array): Instance | undefined => (buffers.has(buffer) ? instance : undefined);

function start(): Instance {
  instance ??= instantiate();
  return instance;
}
