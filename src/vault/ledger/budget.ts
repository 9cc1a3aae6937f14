import type {Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {Hasher} from '../format/hash.ts';
import {packKey} from '../format/key.ts';
import type {PacksInStore} from '../indexes/listing.ts';
import type {PackId, VerifyBudget} from '../types.ts';
import type {Ledger} from './ledger.ts';

/** One request reads at most this much. */
const readBytes = 4 * 1024 * 1024;

/**
 * Packs in the order in which a budget is spent: those of which nothing is known first, the oldest of them first, then
 * the least recently verified ones. Only what is known of all bytes of a pack counts. Every second one is a pack that
 * was found damaged, while there are any: only reading it again shows that it was repaired, but many of them must not
 * keep everything else from ever being read.
 * @param isDamaged true for a pack of which nothing counts, because it was found damaged
 */
export function leastRecentFirst(
  packs: Iterable<PackId>,
  {ledger, inStore, isDamaged}: {ledger: Ledger; inStore: PacksInStore; isDamaged: (pack: PackId) => boolean},
): PackId[] {
  const keyed = [...packs].map((pack) => ({
    pack,
    verifiedMs: ledger.wholeMs(pack) ?? Number.NEGATIVE_INFINITY,
    modifiedMs: inStore.get(pack)?.modifiedAtMs ?? 0,
  }));
  const byAge = (a: number, b: number) => (a < b ? -1 : Number(a > b));
  const sorted = keyed
    .sort(
      (a, b) => byAge(a.verifiedMs, b.verifiedMs) || byAge(a.modifiedMs, b.modifiedMs) || (a.pack < b.pack ? -1 : 1),
    )
    .map(({pack}) => pack);
  const damaged = sorted.filter(isDamaged);
  const others = sorted.filter((pack) => !isDamaged(pack));
  const longest = Math.max(damaged.length, others.length);
  return Array.from({length: longest}, (_, at) =>
    [others[at], damaged[at]].filter((pack) => pack !== undefined),
  ).flat();
}

/** The first of these packs that together have at most so many bytes; one at least. */
export function within(
  packs: readonly PackId[],
  {bytes = Number.POSITIVE_INFINITY}: VerifyBudget,
  lengthOf: (pack: PackId) => number,
): readonly PackId[] {
  let sum = 0;
  const end = packs.findIndex((pack, at) => {
    sum += lengthOf(pack);
    return at > 0 && sum > bytes;
  });
  return end === -1 ? packs : packs.slice(0, end);
}

/**
 * Reads a pack once and compares its hash with its name. Each of its chunks was decoded before that name was made, so
 * nothing is decoded again, and no bases are read from other packs.
 * @returns false if it is not what was written, or missing
 */
export async function hasItsName(
  {store, signal}: {store: Pick<Store, 'get'>; signal?: AbortSignal | undefined},
  pack: PackId,
  lengthBytes: number,
): Promise<boolean> {
  const hasher = new Hasher();
  try {
    for (let start = 0; start < lengthBytes; start += readBytes) {
      signal?.throwIfAborted();
      hasher.update(await store.get(packKey(pack), {start, end: Math.min(start + readBytes, lengthBytes)}));
    }
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
  return hasher.hex() === pack;
}
