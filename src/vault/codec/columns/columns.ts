import {copyShared} from '../../../lib/memory.ts';
import {wasm} from './wasm.js';

/** What is in front of the payload of each record: its length and its rowid, or its length alone. */
export type RecordKind = 'rowid' | 'key';

/** Columns that take more bytes than this in addition to those of their records are not stored. */
const mostExtraBytes = 8 * 1024;

/** The most bytes that columns have, by the length of their records. */
export const mostColumnBytes = (plainBytes: number) => plainBytes + mostExtraBytes;

/** Static data of the module is in front of it. */
const firstAddress = 64 * 1024;
/** Values are copied 16 bytes at a time, and numbers are read nine bytes at a time. */
const slackBytes = 64;
const pageBytes = 64 * 1024;
/** Enough for the largest chunk, its columns, and what is noted while they are made. */
const mostPages = 3072;
/** For each byte of the records, while they are split. Nearly all of it is never written, and takes no memory. */
const scratchFactor = 8;
const moreScratchBytes = 1024;
/** Records of up to this many bytes use the same memory; larger ones as much as those of the next power of two. */
const usualBytes = 4 * 1024 * 1024;

type Exports = {
  split(
    plain: number,
    plainEnd: number,
    hasRowids: boolean,
    out: number,
    mostBytes: number,
    scratch: number,
    scratchUnit: number,
  ): number;
  join(columns: number, columnBytes: number, hasRowids: boolean, out: number, outBytes: number): number;
};

/**
 * Records arranged by column, and back, in memory of its own: the input first, then the output. Memory grows to what
 * the largest chunk needed so far.
 */
class Arranger {
  readonly #memory = new WebAssembly.Memory({initial: 4, maximum: mostPages, shared: true});
  readonly #exports: Exports;

  constructor() {
    const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
    this.#exports = new WebAssembly.Instance(module, {env: {memory: this.#memory}}).exports as Exports;
  }

  split(plain: Uint8Array, kind: RecordKind): Uint8Array | undefined {
    const mostBytes = mostColumnBytes(plain.length);
    const room = roomFor(plain.length);
    const {input, output} = this.#put(plain, room, mostColumnBytes(room) + scratchFactor * room + moreScratchBytes);
    const end = input + plain.length;
    const scratch = aligned(output + mostColumnBytes(room) + slackBytes);
    const bytes = this.#exports.split(input, end, kind === 'rowid', output, mostBytes, scratch, room);
    return bytes === 0 ? undefined : Buffer.from(this.#memory.buffer, output, bytes);
  }

  join(columns: Uint8Array, kind: RecordKind, plainBytes: number): Uint8Array {
    const {input, output} = this.#put(columns, roomFor(columns.length), plainBytes);
    if (!this.#exports.join(input, columns.length, kind === 'rowid', output, plainBytes)) {
      throw new Error('its columns are not those of records');
    }
    return Buffer.from(this.#memory.buffer, output, plainBytes);
  }

  /**
   * @param room for the input, not less than it has
   * @param moreBytes after it, without slack
   */
  #put(bytes: Uint8Array, room: number, moreBytes: number): {input: number; output: number} {
    const input = firstAddress;
    const output = aligned(input + room + slackBytes);
    const missingBytes = output + moreBytes + 2 * slackBytes - this.#memory.buffer.byteLength;
    if (missingBytes > 0) this.#memory.grow(Math.ceil(missingBytes / pageBytes));
    copyShared(new Uint8Array(this.#memory.buffer), input, bytes);
    return {input, output};
  }
}

const roomFor = (bytes: number) => Math.max(usualBytes, 2 ** Math.ceil(Math.log2(bytes + 1)));

const aligned = (address: number) => (address + 15) & ~15;

let arranger: Arranger | undefined;

/**
 * @param plain records, at most 16 MiB
 * @returns in memory that the next call uses again; undefined if `joinRecords` would not restore every byte
 */
export function splitRecords(plain: Uint8Array, kind: RecordKind): Uint8Array | undefined {
  arranger ??= new Arranger();
  return arranger.split(plain, kind);
}

/**
 * The reverse of `splitRecords`.
 * @param columns may be anything
 * @returns in memory that the next call uses again
 * @throws Error with a cause in words if these are not columns of records with `plainBytes` bytes
 */
export function joinRecords(columns: Uint8Array, kind: RecordKind, plainBytes: number): Uint8Array {
  arranger ??= new Arranger();
  return arranger.join(columns, kind, plainBytes);
}
