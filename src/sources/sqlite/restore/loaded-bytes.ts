import type {TableName} from '../../source.ts';

/** Bytes of the rows that were loaded; they limit what an index may compute from them. */
export class LoadedBytes {
  readonly #tables = new Map<TableName, number>();
  #total = 0;
  #largest = 0;

  /** @param bytes of one segment */
  add(table: TableName, bytes: number): void {
    this.#tables.set(table, this.of(table) + bytes);
    this.#total += bytes;
    this.#largest = Math.max(this.#largest, bytes);
  }

  /** All of them, for a process that continues; the largest segment is not known then. */
  entries(): readonly (readonly [TableName, number])[] {
    return [...this.#tables];
  }

  of(table: TableName): number {
    return this.#tables.get(table) ?? 0;
  }

  get total(): number {
    return this.#total;
  }

  /** Of a single segment. */
  get largest(): number {
    return this.#largest;
  }
}
