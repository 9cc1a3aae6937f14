import {readVarint} from './extract-trees.ts';

export type Value = null | bigint | number | string | Buffer;
export type DecodedRecord = {
  /** Undefined in key trees. */
  rowid: bigint | undefined;
  values: Value[];
  /** Where it begins. */
  at: number;
  payload: Buffer;
};

const encodings = {'UTF-8': 'utf8', 'UTF-16le': 'utf-16le', 'UTF-16be': 'utf-16be'} as const;
export type Encoding = keyof typeof encodings;

/** Decodes records as docs/format.md describes them. */
export function decodeRecords(bytes: Uint8Array, kind: 'rowid' | 'key', encoding: Encoding): DecodedRecord[] {
  const records: DecodedRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = readVarint(bytes, at);
    const rowid = kind === 'rowid' ? readVarint(bytes, length.end) : undefined;
    const start = rowid?.end ?? length.end;
    const payload = Buffer.from(bytes.slice(start, start + Number(length.value)));
    const values = decodeValues(payload, encoding);
    records.push({at, payload, values, rowid: rowid && BigInt.asIntN(64, rowid.value)});
    at = start + payload.length;
  }
  return records;
}

function decodeValues(payload: Buffer, encoding: Encoding): Value[] {
  const header = readVarint(payload, 0);
  const values: Value[] = [];
  let at = Number(header.value);
  for (let typeAt = header.end; typeAt < Number(header.value); ) {
    const type = readVarint(payload, typeAt);
    const {value, bytes} = decodeValue(Number(type.value), payload.subarray(at), encoding);
    values.push(value);
    at += bytes;
    typeAt = type.end;
  }
  return values;
}

function decodeValue(type: number, bytes: Buffer, encoding: Encoding): {value: Value; bytes: number} {
  if (type >= 12) {
    const length = (type - 12) >> 1;
    const content = Buffer.from(bytes.subarray(0, length));
    return {value: type % 2 === 0 ? content : new TextDecoder(encodings[encoding]).decode(content), bytes: length};
  }
  if (type === 0) return {value: null, bytes: 0};
  if (type === 7) return {value: bytes.readDoubleBE(0), bytes: 8};
  if (type >= 8) return {value: BigInt(type - 8), bytes: 0};
  const length = [0, 1, 2, 3, 4, 6, 8][type]!;
  const value = bytes.subarray(0, length).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return {value: BigInt.asIntN(8 * length, value), bytes: length};
}
