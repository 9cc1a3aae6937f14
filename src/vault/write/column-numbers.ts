import type {ColumnPart} from '../codec/encode.ts';
import type {Column} from '../types.ts';

/** Gives columns numbers: they are compared by identity on this thread, and other threads need a value. */
export class ColumnNumbers {
  #latest: {column: Column; part: ColumnPart} | undefined;

  of(column: Column): ColumnPart {
    if (this.#latest?.column !== column) {
      const number = (this.#latest?.part.number ?? 0) + 1;
      this.#latest = {column, part: {number, widthBytes: column.widthBytes}};
    }
    return this.#latest.part;
  }
}
