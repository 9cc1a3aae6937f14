import {varintAt, varintEnd} from './big-endian.ts';

/** A value of a record: its storage class, and its text; that of texts and blobs is their bytes in hexadecimal. */
export type RecordValue = readonly ['null' | 'integer' | 'real' | 'text' | 'blob', string];

const fixedSizes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

/**
 * The values of a record, https://www.sqlite.org/fileformat2.html#record_format.
 * @param at where its payload begins
 * @param most how many of its values
 */
export function recordValues(bytes: Buffer, at: number, most: number): RecordValue[] {
  let value = at + varintAt(bytes, at);
  const end = value;
  const values: RecordValue[] = [];
  for (let type = varintEnd; type < end && values.length < most; ) {
    const serial = varintAt(bytes, type);
    type = varintEnd;
    const size = fixedSizes[serial] ?? Math.floor((serial - 12) / 2);
    values.push(valueIn(bytes, serial, {at: value, end: value + size}));
    value += size;
  }
  return values;
}

function valueIn(bytes: Buffer, serial: number, {at, end}: {at: number; end: number}): RecordValue {
  if (serial === 0) return ['null', ''];
  if (serial >= 12) return [serial % 2 === 1 ? 'text' : 'blob', bytes.toString('hex', at, end)];
  if (serial === 7) return ['real', String(bytes.readDoubleBE(at))];
  if (serial >= 8) return ['integer', String(serial - 8)];
  return ['integer', String(serial === 6 ? bytes.readBigInt64BE(at) : bytes.readIntBE(at, end - at))];
}

/** The records of a chunk of a key tree: where the payload of each one begins. */
export function* payloadsIn(bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; ) {
    const size = varintAt(bytes, at);
    const payload = varintEnd;
    yield payload;
    at = payload + size;
  }
}
