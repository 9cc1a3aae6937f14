import type {DeltaStream, Segment, StoredRows} from '../../source.ts';
import {keyOf, linesOf} from './copy-text.ts';

const segmentBytes = 1024 * 1024;
/** More are not kept in memory. */
const mostBytes = 32 * 1024 * 1024;
const mostKeys = 200_000;

export type DifferencesOptions = {
  /** Columns of the key, which are the first ones of a row. */
  keyParts: number;
  /** With more, the table should have a new base. */
  mostKeys: number;
  /** Rows by their keys, for the keys whose rows an earlier backup has and the base has not. */
  earlier: ReadonlyMap<string, string | undefined>;
};

/**
 * Rows in which a table differs from a base, by their keys, in memory. Keys are text: 1.0 and 1.00 are two, of which
 * one is gone when the other came.
 */
export class Differences {
  readonly #options: DifferencesOptions;
  /** A key without a row is in the base, and no longer in the table. */
  readonly #rows = new Map<string, string | undefined>();
  /** Keys of `earlier` that have the row of the base. */
  readonly #asInBase = new Set<string>();
  #bytes = 0;

  constructor(options: DifferencesOptions) {
    this.#options = options;
  }

  get keys(): number {
    return this.#rows.size;
  }

  /**
   * Compares the rows of a part of the table with those that the base has there.
   * @returns false if they are too many
   */
  add(before: readonly Uint8Array[], now: readonly Uint8Array[]): boolean {
    const {keyParts} = this.#options;
    const left = new Map<string, string>();
    for (const part of before) for (const line of linesOf(part)) left.set(keyOf(line, keyParts), line);
    for (const part of now) {
      for (const line of linesOf(part)) {
        const key = keyOf(line, keyParts);
        const isSame = left.get(key) === line;
        left.delete(key);
        if (isSame) this.#noteSame(key);
        else this.#put(key, line);
        if (!this.#fits()) return false;
      }
    }
    for (const key of left.keys()) if (!this.#rows.has(copied(key))) this.#put(key, undefined);
    return this.#fits();
  }

  /** Rows of a part of the table that has the rows of the base. */
  addSame(now: readonly Uint8Array[]): void {
    if (this.#options.earlier.size === 0) return;
    for (const part of now) for (const line of linesOf(part)) this.#noteSame(keyOf(line, this.#options.keyParts));
  }

  delta(): DeltaStream {
    const rows = [...this.#rows.values()].filter((row) => row !== undefined);
    const changed = {keys: this.#rows.size, rows: rows.length};
    return {keys: segmentsOf([...this.#rows.keys()]), rows: segmentsOf(rows), changed: () => changed};
  }

  /** What differs from the earlier backup. Nothing does if it is 0 keys. */
  changed(): {keys: number; rows: number} {
    const {earlier} = this.#options;
    const changed = {keys: 0, rows: 0};
    for (const [key, row] of this.#rows) {
      if (earlier.has(key) && earlier.get(key) === row) continue;
      changed.keys += 1;
      if (row !== undefined) changed.rows += 1;
    }
    for (const key of earlier.keys()) {
      if (this.#rows.has(key)) continue;
      // A row that was inserted is gone, or one is again what it was.
      changed.keys += 1;
      if (this.#asInBase.has(key)) changed.rows += 1;
    }
    return changed;
  }

  #noteSame(key: string): void {
    if (this.#options.earlier.has(key)) this.#asInBase.add(copied(key));
  }

  #put(key: string, line: string | undefined): void {
    this.#rows.set(copied(key), line === undefined ? undefined : copied(line));
    this.#bytes += key.length + (line?.length ?? 0);
  }

  #fits(): boolean {
    return this.#rows.size <= Math.min(this.#options.mostKeys, mostKeys) && this.#bytes <= mostBytes;
  }
}

/**
 * The rows that the deltas of a backup leave, by their keys; a key without a row is deleted. What a delta by reading
 * collected always fits; the deltas of a log, of which a backup may have many, may not.
 * @returns undefined if they are more than is kept in memory; no further segment is taken then
 */
export async function appliedDeltas(
  deltas: StoredRows['deltas'],
  keyParts: number,
): Promise<ReadonlyMap<string, string | undefined> | undefined> {
  const left = new Map<string, string | undefined>();
  let bytes = 0;
  const put = (key: string, line: string | undefined) => {
    bytes += (line?.length ?? 0) - (left.get(key)?.length ?? 0) + (left.has(key) ? 0 : key.length);
    left.set(copied(key), line === undefined ? undefined : copied(line));
  };
  /** @returns whether all lines fit */
  const takeAll = async (parts: AsyncIterable<Uint8Array>, take: (line: string) => void) => {
    for await (const part of parts) {
      // Its lines are strings, which cannot be of any length.
      if (part.length > 2 * mostBytes) return false;
      for (const line of linesOf(part)) take(line);
      if (left.size > mostKeys || bytes > mostBytes) return false;
    }
    return true;
  };
  for (const {keys, rows} of deltas) {
    const fit =
      (await takeAll(keys, (key) => put(key, undefined))) &&
      (await takeAll(rows, (line) => put(keyOf(line, keyParts), line)));
    if (!fit) return undefined;
  }
  return left;
}

/** A part of a string keeps all of it in memory. */
const copied = (text: string) => Buffer.from(text, 'latin1').toString('latin1');

async function* segmentsOf(lines: readonly string[]): AsyncGenerator<Segment> {
  let open: string[] = [];
  let bytes = 0;
  const cut = () => ({bytes: Buffer.from(`${open.join('\n')}\n`, 'latin1'), rows: open.length});
  for (const line of lines) {
    open.push(line);
    bytes += line.length + 1;
    if (bytes < segmentBytes) continue;
    yield cut();
    open = [];
    bytes = 0;
  }
  if (open.length > 0) yield cut();
}
