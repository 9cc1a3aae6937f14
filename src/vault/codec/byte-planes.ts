/**
 * Groups the bytes of 32-bit numbers into planes: all lowest bytes first, all highest ones last. Handles four
 * numbers at a time, because writing words is several times as fast as writing bytes.
 * @param out four bytes for each number
 */
export function splitBytes(numbers: Int32Array, out: Uint8Array): void {
  const count = numbers.length;
  const words = wordsOf(out, count);
  const [second, third, fourth] = [count, 2 * count, 3 * count];
  if (words === undefined) {
    for (let at = 0; at < count; at++) {
      const value = numbers[at]!;
      out[at] = value;
      out[second + at] = value >>> 8;
      out[third + at] = value >>> 16;
      out[fourth + at] = value >>> 24;
    }
    return;
  }
  for (let at = 0; at < count; at += 4) {
    const a = numbers[at]!;
    const b = numbers[at + 1]!;
    const c = numbers[at + 2]!;
    const d = numbers[at + 3]!;
    words[at >> 2] = (a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | (d << 24);
    words[(second + at) >> 2] = ((a >>> 8) & 0xff) | (b & 0xff00) | ((c & 0xff00) << 8) | ((d & 0xff00) << 16);
    words[(third + at) >> 2] = ((a >>> 16) & 0xff) | ((b >>> 8) & 0xff00) | (c & 0xff0000) | ((d & 0xff0000) << 8);
    words[(fourth + at) >> 2] = (a >>> 24) | ((b >>> 24) << 8) | ((c >>> 24) << 16) | (d & 0xff000000);
  }
}

/** The reverse of {@link splitBytes}. */
export function joinBytes(bytes: Uint8Array, out: Int32Array): void {
  const count = out.length;
  const words = wordsOf(bytes, count);
  const [second, third, fourth] = [count, 2 * count, 3 * count];
  if (words === undefined) {
    for (let at = 0; at < count; at++) {
      out[at] = bytes[at]! | (bytes[second + at]! << 8) | (bytes[third + at]! << 16) | (bytes[fourth + at]! << 24);
    }
    return;
  }
  for (let at = 0; at < count; at += 4) {
    const a = words[at >> 2]!;
    const b = words[(second + at) >> 2]!;
    const c = words[(third + at) >> 2]!;
    const d = words[(fourth + at) >> 2]!;
    out[at] = (a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | (d << 24);
    out[at + 1] = ((a >>> 8) & 0xff) | (b & 0xff00) | ((c & 0xff00) << 8) | ((d & 0xff00) << 16);
    out[at + 2] = ((a >>> 16) & 0xff) | ((b >>> 8) & 0xff00) | (c & 0xff0000) | ((d & 0xff0000) << 8);
    out[at + 3] = (a >>> 24) | ((b >>> 24) << 8) | ((c >>> 24) << 16) | (d & 0xff000000);
  }
}

/** The planes as 32-bit words; undefined if misaligned or if the count is not a multiple of 4. */
function wordsOf(bytes: Uint8Array, count: number): Int32Array | undefined {
  if (count % 4 !== 0 || bytes.byteOffset % 4 !== 0) return undefined;
  return new Int32Array(bytes.buffer, bytes.byteOffset, count);
}
