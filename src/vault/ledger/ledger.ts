import type {Location} from '../indexes/chunk-table.ts';
import type {PackId} from '../types.ts';

/** Half-open ranges of bytes in a pack, ascending: `[start, end, start, end, …]`. */
export type Ranges = readonly number[];

/** What one verification found intact. Without `ranges`: all bytes of the pack. */
export type VerifiedPack = {pack: PackId; ranges?: Ranges};

type Part = {atMs: number; ranges: Ranges};
type Known = {wholeMs: number; parts: readonly Part[]};

const nothing: Known = {wholeMs: Number.NEGATIVE_INFINITY, parts: []};

/**
 * Which bytes of the vault were read intact, and when. docs/format.md describes its documents. It only grows: what a
 * later listing says against a pack is judged by the reader.
 */
export class Ledger {
  readonly #packs = new Map<PackId, Known>();

  get isEmpty(): boolean {
    return this.#packs.size === 0;
  }

  /** Packs of which something is known. */
  packs(): Iterable<PackId> {
    return this.#packs.keys();
  }

  add({pack, ranges}: VerifiedPack, atMs: number): void {
    const {wholeMs, parts} = this.#packs.get(pack) ?? nothing;
    if (ranges === undefined) {
      const latest = Math.max(wholeMs, atMs);
      this.#packs.set(pack, {wholeMs: latest, parts: parts.filter((part) => part.atMs > latest)});
    } else if (atMs > wholeMs && !parts.some((part) => part.atMs >= atMs && coversAll(part.ranges, ranges))) {
      // A drill reads the same parts of a pack every night: only the newest counts.
      const others = parts.filter((part) => part.atMs > atMs || !coversAll(ranges, part.ranges));
      this.#packs.set(pack, {wholeMs, parts: [...others, {atMs, ranges}]});
    }
  }

  has(pack: PackId): boolean {
    return this.#packs.has(pack);
  }

  /** The latest time at which all bytes of the pack were intact. */
  wholeMs(pack: PackId): number | undefined {
    const {wholeMs} = this.#packs.get(pack) ?? nothing;
    return wholeMs === nothing.wholeMs ? undefined : wholeMs;
  }

  /**
   * When the oldest of these chunks of a pack was last read intact.
   * @param chunks is called only if not everything is known of the whole pack
   * @returns undefined if one of them never was
   */
  verifiedMs(pack: PackId, chunks: () => readonly Pick<Location, 'offset' | 'storedBytes'>[]): number | undefined {
    const known = this.#packs.get(pack);
    if (known === undefined) return undefined;
    if (known.parts.length === 0) return known.wholeMs;
    let oldest = Number.POSITIVE_INFINITY;
    for (const {offset, storedBytes} of chunks()) {
      const covering = known.parts.filter(({ranges}) => covers(ranges, offset, offset + storedBytes));
      oldest = Math.min(oldest, Math.max(known.wholeMs, ...covering.map(({atMs}) => atMs)));
    }
    return oldest === nothing.wholeMs ? undefined : oldest;
  }

  /** Everything that is known, by time; for a document. */
  runs(): ReadonlyMap<number, readonly VerifiedPack[]> {
    const runs = new Map<number, VerifiedPack[]>();
    const note = (atMs: number, verified: VerifiedPack) => {
      const run = runs.get(atMs) ?? [];
      runs.set(atMs, run);
      run.push(verified);
    };
    for (const [pack, {wholeMs, parts}] of this.#packs) {
      if (wholeMs !== nothing.wholeMs) note(wholeMs, {pack});
      for (const {atMs, ranges} of parts) note(atMs, {pack, ranges});
    }
    return runs;
  }
}

export function covers(ranges: Ranges, start: number, end: number): boolean {
  for (let at = 0; at < ranges.length; at += 2) if (ranges[at]! <= start && end <= ranges[at + 1]!) return true;
  return false;
}

function coversAll(ranges: Ranges, others: Ranges): boolean {
  for (let at = 0; at < others.length; at += 2) if (!covers(ranges, others[at]!, others[at + 1]!)) return false;
  return true;
}

/** The same bytes in ascending ranges that neither overlap nor touch. @param ranges in any order */
export function joined(ranges: Ranges): Ranges {
  const pairs: [number, number][] = [];
  for (let at = 0; at < ranges.length; at += 2) pairs.push([ranges[at]!, ranges[at + 1]!]);
  const all: number[] = [];
  for (const [start, end] of pairs.toSorted(([a], [b]) => a - b)) {
    if (all.length > 0 && start <= all.at(-1)!) all[all.length - 1] = Math.max(all.at(-1)!, end);
    else all.push(start, end);
  }
  return all;
}

/** The ranges of these chunks, which are in the order of the pack; adjacent ones are joined. */
export function rangesOf(chunks: readonly Pick<Location, 'offset' | 'storedBytes'>[]): Ranges {
  const ranges: number[] = [];
  for (const {offset, storedBytes} of chunks) {
    if (ranges.at(-1) === offset) ranges[ranges.length - 1] = offset + storedBytes;
    else ranges.push(offset, offset + storedBytes);
  }
  return ranges;
}
