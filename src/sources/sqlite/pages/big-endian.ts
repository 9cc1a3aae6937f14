// Numbers of SQLite's files (https://www.sqlite.org/fileformat2.html#varint), read on the main thread.

/** Where the varint that was read last ends. */
export let varintEnd = 0;

/** A varint; at least nine bytes follow `at`, or the result is not to be trusted. Exact up to 2^53. */
export function varintAt(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let n = 0; n < 8; n++) {
    const byte = bytes[at + n] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      varintEnd = at + n + 1;
      return value;
    }
  }
  varintEnd = at + 9;
  return value * 256 + (bytes[at + 8] ?? 0);
}

/** A varint as a signed number of 64 bits, as a rowid is stored. */
export function rowidAt(bytes: Uint8Array, at: number): bigint {
  const value = varintAt(bytes, at);
  if (varintEnd - at < 8) return BigInt(value);
  let exact = 0n;
  for (let n = 0; n < 8; n++) exact = (exact << 7n) | BigInt((bytes[at + n] ?? 0) & 0x7f);
  if (varintEnd - at === 9) exact = (exact << 8n) | BigInt(bytes[at + 8] ?? 0);
  return BigInt.asIntN(64, exact);
}
