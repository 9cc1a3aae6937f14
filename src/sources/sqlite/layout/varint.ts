/**
 * One of SQLite's integers of one to nine bytes, https://www.sqlite.org/fileformat2.html#varint.
 * @returns the value, exact below 2^53, and where it ends
 */
export function readVarint(bytes: Uint8Array, at: number): {value: number; end: number} {
  let value = 0;
  for (let i = at; i < at + 8; i++) {
    const byte = bytes[i]!;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return {value, end: i + 1};
  }
  return {value: value * 256 + bytes[at + 8]!, end: at + 9};
}
