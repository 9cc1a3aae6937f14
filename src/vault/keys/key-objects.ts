import {BkpError} from '../../errors/index.ts';
import {type Key, notWritten, requireWritten, type Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {keysPrefix} from '../format/key.ts';
import {ringKey, ringsPrefix} from './ring.ts';
import {isSlotKey, slotsPrefix} from './slot.ts';

/** Each object below `keys/` is in the store twice: the loss of one of them must lose nothing. */
const sparePrefix = `${keysPrefix}spare/`;
const spareOf = (key: Key): Key => sparePrefix + key.slice(keysPrefix.length);

/** What is below `keys/`, without the difference between the two copies. */
export type KeyObjects = {
  /** Keys of the slots, sorted. */
  slots: readonly Key[];
  /** Numbers of the rings, newest first. */
  generations: readonly number[];
  /** Every key that is in the store. */
  present: ReadonlySet<Key>;
};

export async function listKeyObjects(store: Store): Promise<KeyObjects> {
  const present = new Set<Key>();
  for await (const {key} of store.list(keysPrefix)) present.add(key);
  const names = new Set([...present].map((key) => key.replace(sparePrefix, keysPrefix)));
  const slots = [...names].filter(isSlotKey).sort();
  const generations = [...names]
    .filter((key) => /^keys\/rings\/[0-9]{8}$/.test(key))
    .map((key) => Number(key.slice(ringsPrefix.length)))
    .sort((a, b) => b - a);
  return {slots, generations, present};
}

/**
 * One object, from whichever copy is intact.
 * @returns undefined if there is neither
 * @throws what `parse` throws of the one that is there
 */
export async function readCopies<T>(
  store: Store,
  key: Key,
  parse: (bytes: Uint8Array, key: Key) => T,
): Promise<{value: T; bytes: Uint8Array} | undefined> {
  let fault: unknown;
  for (const copy of [key, spareOf(key)]) {
    try {
      const bytes = await store.get(copy);
      return {value: parse(bytes, copy), bytes};
    } catch (error) {
      if (!isDamage(error)) throw error;
      if (error.code !== 'OBJECT_MISSING') fault ??= error;
    }
  }
  if (fault !== undefined) throw fault;
  return undefined;
}

const once = {ifAbsent: true, retained: true} as const;

/**
 * Puts an object that nobody else names, spare copy first, and reads it back.
 * @throws BkpError `OBJECT_DAMAGED`
 */
export async function putSlotObject(store: Store, id: string, bytes: Uint8Array): Promise<void> {
  const key = slotsPrefix + id;
  for (const copy of [spareOf(key), key]) {
    await store.put(copy, bytes, once);
    await requireWritten(store, copy, bytes);
  }
}

/** `taken`: another process was faster. `half`: the ring counts, but one of its two copies could not be written. */
export type RingPut = 'taken' | 'half' | 'written';

/**
 * Puts a ring, if its number is free. The put of the first copy decides: from then on the ring counts, so no later
 * failure is an error.
 * @param settle waits until whoever looked for the ring before this put has put its own; for a store that ignores
 *   conditions
 */
export async function putRing(
  store: Store,
  generation: number,
  bytes: Uint8Array,
  settle?: () => Promise<void>,
): Promise<RingPut> {
  const key = ringKey(generation);
  const spare = spareOf(key);
  // Where a store ignores conditions, this look is all that protects a ring that is there.
  if ((await store.stat(spare)) !== undefined || (await store.stat(key)) !== undefined) return 'taken';
  const outcome = await putDecisive(store, spare, bytes);
  if (outcome === 'taken') return 'taken';
  if (settle !== undefined) {
    await settle();
    if (await isOvertaken(store, {key, spare}, bytes)) return 'taken';
  }
  try {
    await store.put(key, bytes, once);
    await requireWritten(store, key, bytes);
  } catch {
    return 'half';
  }
  if (settle === undefined || (await isSame(store, spare, bytes))) return 'written';
  // The other process was paused between its look and its put for longer than we waited.
  await store.put(key, await store.get(spare), {retained: true});
  return 'taken';
}

const isSame = async (store: Store, key: Key, bytes: Uint8Array) => Buffer.compare(await store.get(key), bytes) === 0;

/**
 * Without conditions, two processes can each put the first copy. The later put counts, unless the other process has
 * put its second copy already: then the first one is set back.
 */
async function isOvertaken(store: Store, {key, spare}: {key: Key; spare: Key}, bytes: Uint8Array): Promise<boolean> {
  const present = async (copy: Key) => ((await store.stat(copy)) === undefined ? undefined : store.get(copy));
  try {
    const [first, second] = [await present(spare), await present(key)];
    if (second !== undefined && Buffer.compare(second, bytes) !== 0) {
      await store.put(spare, second, {retained: true});
      return true;
    }
    return first === undefined || Buffer.compare(first, bytes) !== 0;
  } catch (error) {
    throw undecided(spare, error);
  }
}

async function putDecisive(store: Store, key: Key, bytes: Uint8Array): Promise<'taken' | 'written'> {
  let outcome: 'written' | 'exists' | undefined;
  let failure: unknown;
  try {
    outcome = await store.put(key, bytes, once);
  } catch (error) {
    failure = error;
  }
  let found: Uint8Array;
  try {
    found = await store.get(key);
  } catch (error) {
    const isAbsent = error instanceof BkpError && error.code === 'OBJECT_MISSING';
    throw isAbsent && isRefusal(failure) ? failure : undecided(key, failure ?? error);
  }
  // A put whose reply was lost is found here.
  if (Buffer.compare(found, bytes) === 0) return 'written';
  if (failure !== undefined) throw failure;
  if (outcome === 'exists') return 'taken';
  throw notWritten(key);
}

/** The store answered that it does not write: nothing of the put is still on its way. */
const isRefusal = (failure: unknown): boolean =>
  failure instanceof BkpError && !failure.retryable && failure.code !== 'STORE_UNAVAILABLE';

const undecided = (key: Key, cause: unknown) =>
  new BkpError('STORE_UNAVAILABLE', `whether ${key} was written is unknown: the store does not answer`, {
    cause,
    next: 'when it answers again, bkp vault key list shows whether the change was made; keep both secrets until then',
    retryable: true,
    context: {key, undecided: key},
  });

/** Whether a change of keys may have been made although it failed: then no secret of it may be forgotten. */
export const isUndecided = (error: unknown): boolean =>
  error instanceof BkpError && error.context.undecided !== undefined;

/**
 * Writes the copies that are missing or damaged from the ones that are intact.
 * @param options.isTrial write nothing
 * @returns the keys that it wrote, or would write
 */
export async function mendCopies(
  store: Store,
  keys: readonly Key[],
  {parse, isTrial}: {parse: (bytes: Uint8Array, key: Key) => unknown; isTrial: boolean},
): Promise<Key[]> {
  const mended: Key[] = [];
  for (const key of keys) {
    const found = await readCopies(store, key, parse);
    if (found !== undefined) mended.push(...(await putCopies(store, key, found.bytes, {isTrial})));
  }
  return mended;
}

/**
 * Writes the copies of an object that are not these bytes.
 * @returns the keys that it wrote, or would write
 * @throws BkpError `OBJECT_DAMAGED` if what was written does not read back
 */
export async function putCopies(store: Store, key: Key, bytes: Uint8Array, {isTrial = false} = {}): Promise<Key[]> {
  const written: Key[] = [];
  for (const copy of [key, spareOf(key)]) {
    const there = await store.get(copy).catch((error: unknown) => {
      if (isDamage(error)) return undefined;
      throw error;
    });
    if (there !== undefined && Buffer.compare(there, bytes) === 0) continue;
    written.push(copy);
    if (isTrial) continue;
    await store.put(copy, bytes, {retained: true});
    await requireWritten(store, copy, bytes);
  }
  return written;
}

/**
 * Removes both copies of slots that no ring names, or of rings that are of no use any more.
 * @returns false if a lock still protects one of them
 */
export async function removeKeyObjects(store: Store, keys: readonly Key[]): Promise<boolean> {
  if (keys.length === 0) return true;
  return (await store.delete([...keys, ...keys.map(spareOf)])).length === 0;
}
