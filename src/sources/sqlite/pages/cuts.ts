import * as v from 'valibot';
import {count, parsedJson, type Schema} from '../../../lib/schema.ts';
import type {Cuts} from '../../source.ts';
import type {RecordValue} from './record-values.ts';
import {mostRowid} from './walk.ts';

/**
 * Where a tree was cut, as JSON. A chunk is called a segment here, as in the contract of sources.
 *
 * - Rowid trees: `ends` has the upper ends of the ranges of rowids in ascending order, as text because JSON has no
 *   integers of 64 bits; each range begins after the one before it. The last range has no end and is not in the list,
 *   so `segments` is the number of ends or one more: the last range may hold no record, the others do.
 * - Key trees: `bits` is b, of which `hashed` says where it is taken from (`KeyRun`); `records` and `bytes` are those
 *   of the tree; `firsts` has an identity of the first record of each segment (16 hexadecimal digits). `keys` has the
 *   values of these records, of a table without rowid only those of its key; null if they are long, or one is NULL.
 */
const rowidSchema = v.object({
  version: v.literal(1),
  kind: v.literal('rowid'),
  segments: count,
  ends: v.array(v.pipe(v.string(), v.regex(/^(?:0|-?[1-9]\d{0,18})$/))),
});
const keySchema = v.object({
  version: v.literal(1),
  kind: v.literal('key'),
  hashed: v.picklist(['tail', 'head']),
  bits: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(30)),
  records: count,
  bytes: count,
  firsts: v.array(v.pipe(v.string(), v.regex(/^[\da-f]{16}$/))),
  keys: v.exactOptional(
    v.array(v.nullable(v.array(v.tuple([v.picklist(['integer', 'real', 'text', 'blob']), v.string()])))),
  ),
});

/** `ends`: of all ranges but the last one, ascending. */
export type RowidCuts = {segments: number; ends: readonly bigint[]};
export type KeyCuts = {
  hashed: 'tail' | 'head';
  bits: number;
  records: number;
  bytes: number;
  firsts: readonly string[];
  /** Absent in the cuts of older versions. */
  keys?: readonly (FirstKey | null)[];
};

/** The values of a segment's first record. */
export type FirstKey = readonly (readonly ['integer' | 'real' | 'text' | 'blob', string])[];

/** Longer keys would make the cuts too long. */
const longestKey = 300;

export function firstKeyOf(values: readonly RecordValue[]): FirstKey | null {
  const key: (readonly [Exclude<RecordValue[0], 'null'>, string])[] = [];
  for (const [type, text] of values) {
    if (type === 'null') return null;
    key.push([type, text]);
  }
  return key.reduce((sum, [, text]) => sum + text.length, 0) > longestKey ? null : key;
}

export function rowidCuts({segments, ends}: RowidCuts): Cuts {
  return JSON.stringify({version: 1, kind: 'rowid', segments, ends: ends.map(String)});
}

export function keyCuts({hashed, bits, records, bytes, firsts, keys}: KeyCuts): Cuts {
  return JSON.stringify({version: 1, kind: 'key', hashed, bits, records, bytes, firsts, keys});
}

/** @returns undefined if they are not cuts of a rowid tree, or of a newer bkp: the tree is cut like a first time */
export function readRowidCuts(text: Cuts | undefined): RowidCuts | undefined {
  const cuts = read<v.InferOutput<typeof rowidSchema>>(rowidSchema, text);
  if (cuts === undefined) return undefined;
  const {segments} = cuts;
  const ends = cuts.ends.map(BigInt);
  const ascend = ends.every((end, at) => at === 0 || end > ends[at - 1]!);
  const isOpen = ends.length === 0 || (ends[0]! >= -(2n ** 63n) && ends.at(-1)! < mostRowid);
  return ascend && isOpen && segments - ends.length >= 0 && segments - ends.length <= 1 ? {segments, ends} : undefined;
}

/** {@link readRowidCuts} for key trees. @param hashed what the table needs */
export function readKeyCuts(text: Cuts | undefined, hashed: 'tail' | 'head'): KeyCuts | undefined {
  const cuts = read<v.InferOutput<typeof keySchema>>(keySchema, text);
  return cuts?.hashed === hashed ? cuts : undefined;
}

function read<T>(schema: Schema<T>, text: Cuts | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return parsedJson(schema, text, (why) => new Error(why));
  } catch {
    return undefined;
  }
}
