import {copyShared} from '../../../lib/memory.ts';
import {wasm} from './wasm.js';

/**
 * A double is a whole number divided by 10 to the exponent, as most parsers do it, or multiplied by the inverse
 * of that (`multiplied`). The two may differ in the last bit.
 */
export type Scale = {exponent: number; multiplied: boolean};

/**
 * How numbers are rearranged before zstd, so that it compresses them better. In this order: doubles become
 * decimals, each number becomes its difference to the previous one, and bytes are grouped into planes (all
 * first bytes, all second bytes …).
 */
export type Filter = {widthBytes: number; differences: boolean; decimals?: Scale};

/** Static data of the module is in front of it. */
const firstAddress = 64 * 1024;
const pageBytes = 64 * 1024;
/** Enough for three times the largest chunk. */
const mostPages = 800;

type Exports = {
  scaleOf(doubles: number, count: number, out: number): number;
  toDecimals(doubles: number, count: number, exponent: number, multiplied: boolean, out: number): number;
  fromDecimals(numbers: number, count: number, exponent: number, multiplied: boolean): void;
  differences4(numbers: number, count: number, out: number): void;
  differences8(numbers: number, count: number, out: number): void;
  sums4(numbers: number, count: number): void;
  sums8(numbers: number, count: number): void;
  splitPlanes(numbers: number, count: number, width: number, out: number): void;
  joinPlanes(planes: number, count: number, width: number, out: number): void;
};

/** Applies and undoes filters in memory of its own, which grows to what the largest chunk needed so far. */
export class NumberFilters {
  readonly #memory = new WebAssembly.Memory({initial: 4, maximum: mostPages, shared: true});
  readonly #exports: Exports;

  constructor() {
    const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
    this.#exports = new WebAssembly.Instance(module, {env: {memory: this.#memory}}).exports as Exports;
  }

  /** A scale at which all of these doubles are whole numbers; undefined if there is none. */
  scaleOf(doubles: Uint8Array): Scale | undefined {
    const {input, changed} = this.#put(doubles);
    const scale = this.#exports.scaleOf(input, Math.floor(doubles.length / 8), changed);
    return scale < 0 ? undefined : {exponent: scale >> 1, multiplied: (scale & 1) === 1};
  }

  /**
   * @returns as many bytes, in memory that the next call uses again; undefined when some of the numbers are not
   *   decimals of that scale
   */
  apply(plain: Uint8Array, {widthBytes, differences, decimals}: Filter): Uint8Array | undefined {
    const {input, changed, output} = this.#put(plain);
    const count = Math.floor(plain.length / widthBytes);
    let numbers = input;
    if (decimals !== undefined) {
      const {exponent, multiplied} = decimals;
      if (!this.#exports.toDecimals(numbers, count, exponent, multiplied, changed)) return undefined;
      numbers = changed;
    }
    if (differences) {
      if (widthBytes === 8) this.#exports.differences8(numbers, count, changed);
      else this.#exports.differences4(numbers, count, changed);
      numbers = changed;
    }
    this.#exports.splitPlanes(numbers, count, widthBytes, output);
    return this.#result(output, plain, count * widthBytes);
  }

  /** The reverse of `apply`. @returns as many bytes, in memory that the next call uses again */
  undo(filtered: Uint8Array, {widthBytes, differences, decimals}: Filter): Uint8Array {
    const {input, output} = this.#put(filtered);
    const count = Math.floor(filtered.length / widthBytes);
    this.#exports.joinPlanes(input, count, widthBytes, output);
    if (differences) {
      if (widthBytes === 8) this.#exports.sums8(output, count);
      else this.#exports.sums4(output, count);
    }
    if (decimals !== undefined) this.#exports.fromDecimals(output, count, decimals.exponent, decimals.multiplied);
    return this.#result(output, filtered, count * widthBytes);
  }

  #put(bytes: Uint8Array): {input: number; changed: number; output: number} {
    const roomBytes = aligned(bytes.length);
    const missingBytes = firstAddress + 3 * roomBytes - this.#memory.buffer.byteLength;
    if (missingBytes > 0) this.#memory.grow(Math.ceil(missingBytes / pageBytes));
    copyShared(new Uint8Array(this.#memory.buffer), firstAddress, bytes);
    const changed = firstAddress + roomBytes;
    return {input: firstAddress, changed, output: changed + roomBytes};
  }

  /** @param numberBytes what follows the numbers stays as it is */
  #result(output: number, input: Uint8Array, numberBytes: number): Uint8Array {
    const result = new Uint8Array(this.#memory.buffer, output, input.length);
    if (numberBytes < input.length) result.set(input.subarray(numberBytes), numberBytes);
    return result;
  }
}

const aligned = (bytes: number) => (bytes + 15) & ~15;
