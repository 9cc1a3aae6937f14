import {joinBytes, splitBytes} from './byte-planes.ts';
import {Scratch} from './scratch.ts';

// Numbers of one width as byte planes: all first bytes, then all second bytes, and so on; optionally as differences.

/** Numbers as 32-bit words, in place if the bytes are aligned. */
export function words(bytes: Uint8Array): Int32Array {
  const whole = bytes.length & ~3;
  if (bytes.byteOffset % 4 === 0) return new Int32Array(bytes.buffer, bytes.byteOffset, whole >> 2);
  return new Int32Array(Uint8Array.prototype.slice.call(bytes, 0, whole).buffer);
}

/** The lower and the upper halves of numbers of eight bytes. */
const lowers = new Scratch();
const uppers = new Scratch();

/**
 * The sign of a difference moves to its lowest bit, so that small differences of either sign have high bytes of
 * zeros.
 */
export function split8(out: Uint8Array, numbers: Int32Array, count: number, differences: boolean): void {
  const [lows, highs] = [lowers.words(count), uppers.words(count)];
  if (!differences) {
    for (let at = 0; at < count; at++) {
      lows[at] = numbers[2 * at]!;
      highs[at] = numbers[2 * at + 1]!;
    }
  } else {
    let [lowBefore, highBefore] = [0, 0];
    for (let at = 0; at < count; at++) {
      const low = numbers[2 * at]!;
      const high = numbers[2 * at + 1]!;
      const lowStep = (low - lowBefore) | 0;
      const highStep = (high - highBefore - (low >>> 0 < lowBefore >>> 0 ? 1 : 0)) | 0;
      const sign = highStep >> 31;
      lows[at] = (lowStep << 1) ^ sign;
      highs[at] = ((highStep << 1) | (lowStep >>> 31)) ^ sign;
      lowBefore = low;
      highBefore = high;
    }
  }
  splitBytes(lows, out.subarray(0, 4 * count));
  splitBytes(highs, out.subarray(4 * count, 8 * count));
}

export function join8(numbers: Int32Array, bytes: Uint8Array, count: number, differences: boolean): void {
  const [lows, highs] = [lowers.words(count), uppers.words(count)];
  joinBytes(bytes.subarray(0, 4 * count), lows);
  joinBytes(bytes.subarray(4 * count, 8 * count), highs);
  let [lowBefore, highBefore] = [0, 0];
  for (let at = 0; at < count; at++) {
    let low = lows[at]!;
    let high = highs[at]!;
    if (differences) {
      const sign = -(low & 1);
      const lowStep = ((low >>> 1) | (high << 31)) ^ sign;
      const sum = (lowStep >>> 0) + (lowBefore >>> 0);
      high = (((high >>> 1) ^ sign) + highBefore + (sum > 0xffffffff ? 1 : 0)) | 0;
      low = sum | 0;
      lowBefore = low;
      highBefore = high;
    }
    numbers[2 * at] = low;
    numbers[2 * at + 1] = high;
  }
}

export function split4(out: Uint8Array, numbers: Int32Array, count: number, differences: boolean): void {
  let values = numbers.subarray(0, count);
  if (differences) {
    values = lowers.words(count);
    let before = 0;
    for (let at = 0; at < count; at++) {
      const step = (numbers[at]! - before) | 0;
      before = numbers[at]!;
      values[at] = (step << 1) ^ (step >> 31);
    }
  }
  splitBytes(values, out.subarray(0, 4 * count));
}

export function join4(numbers: Int32Array, bytes: Uint8Array, count: number, differences: boolean): void {
  const values = numbers.subarray(0, count);
  joinBytes(bytes.subarray(0, 4 * count), values);
  if (!differences) return;
  let before = 0;
  for (let at = 0; at < count; at++) {
    before = (before + ((values[at]! >>> 1) ^ -(values[at]! & 1))) | 0;
    values[at] = before;
  }
}

export function split(out: Uint8Array, numbers: Uint8Array, count: number, widthBytes: number): void {
  for (let byte = 0, to = 0; byte < widthBytes; byte++) {
    for (let from = byte, end = count * widthBytes; from < end; from += widthBytes) out[to++] = numbers[from]!;
  }
}

export function join(numbers: Uint8Array, bytes: Uint8Array, count: number, widthBytes: number): void {
  for (let byte = 0, from = 0; byte < widthBytes; byte++) {
    for (let to = byte, end = count * widthBytes; to < end; to += widthBytes) numbers[to] = bytes[from++]!;
  }
}
