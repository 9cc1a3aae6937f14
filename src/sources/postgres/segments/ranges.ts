import * as v from 'valibot';
import {count, parsedJson} from '../../../lib/schema.ts';
import {comparable, type KeyColumn} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteBytes, quoteIdent} from '../connection/quote.ts';

/** The key of a row, part by part, in the encoding of the database. */
export type Bound = readonly Uint8Array[];

/** What is known of the rows of a segment. `sum`: their content, 32 hexadecimal digits. */
export type Measured = {rows: number; sum: string};

/** A range of keys in a base. */
export type KeyRange = {
  /** The last key in it; absent: no upper limit. */
  upTo?: Bound;
  /** The segment that begins here. */
  segment: number;
  bytes: number;
  /** Absent in cuts of older versions. */
  measured?: Measured;
};

/**
 * When the rows of a base were read, so that a later backup can find out which ranges are the same. `state`: what the
 * text of the rows depends on besides the rows. `xmin`: no transaction before it was running then; 64 bits, decimal.
 * `unread`: how many backups in a row took over ranges without reading them.
 */
export type Seen = {state: string; xmin: string; unread: number};

const hex = v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2})*$/u));
const measured = v.object({rows: count, sum: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/u))});
const seen = v.object({
  state: v.string(),
  xmin: v.pipe(v.string(), v.regex(/^\d{1,20}$/u)),
  unread: count,
});
/** Where a base was cut; docs/format.md describes it. */
const schema = v.variant('by', [
  v.object({
    version: v.literal(1),
    by: v.literal('key'),
    key: v.array(v.string()),
    ranges: v.pipe(
      v.array(
        v.object({
          upTo: v.exactOptional(v.array(hex)),
          segment: count,
          bytes: count,
          measured: v.exactOptional(measured),
        }),
      ),
      v.minLength(1),
    ),
    seen: v.exactOptional(seen),
  }),
  v.object({
    version: v.literal(1),
    by: v.literal('block'),
    blocks: count,
    starts: v.array(count),
    measured: v.exactOptional(v.array(measured)),
    seen: v.exactOptional(seen),
  }),
]);
export type ReadCuts = v.InferOutput<typeof schema>;

export function keyCuts(key: readonly KeyColumn[], ranges: readonly KeyRange[], seen: Seen | undefined): string {
  const texts = ranges.map(({upTo, ...range}) => ({
    ...(upTo === undefined ? {} : {upTo: upTo.map((part) => Buffer.from(part).toString('hex'))}),
    ...range,
  }));
  return JSON.stringify({version: 1, by: 'key', key: orderOf(key), ranges: texts, seen});
}

/** @param starts first block of each segment */
export function blockCuts(
  blocks: number,
  starts: readonly number[],
  {measured, seen}: {measured: readonly Measured[]; seen: Seen | undefined},
): string {
  return JSON.stringify({version: 1, by: 'block', blocks, starts, measured, seen});
}

/** @returns undefined when there are none, or others wrote them: the base is then cut like a first one */
export function readCuts(text: string | undefined): ReadCuts | undefined {
  if (text === undefined) return undefined;
  try {
    return parsedJson<ReadCuts>(schema, text, (why) => new Error(why));
  } catch {
    return undefined;
  }
}

/**
 * The ranges of the base before, if each row is in exactly one of them: their ends must ascend as the server compares
 * them now.
 */
export async function usableRanges(
  connection: Connection,
  key: readonly KeyColumn[],
  cuts: ReadCuts | undefined,
): Promise<readonly KeyRange[] | undefined> {
  if (cuts?.by !== 'key' || cuts.key.join('\n') !== orderOf(key).join('\n')) return undefined;
  const ranges = cuts.ranges.map(({upTo, ...range}) => ({
    ...range,
    ...(upTo === undefined ? {} : {upTo: upTo.map((part) => Buffer.from(part, 'hex'))}),
  }));
  const ends = ranges.slice(0, -1).map(({upTo}) => upTo);
  if (ranges.at(-1)!.upTo !== undefined || !ends.every((end) => end?.length === key.length)) return undefined;
  return (await ascend(connection, key, ends as Bound[])) ? ranges : undefined;
}

/** `AND`-ed to a query: the rows after one key, up to another. */
export function rangeCondition(key: readonly KeyColumn[], after: Bound | undefined, upTo: Bound | undefined): string {
  const columns = `(${key.map((part) => comparable(quoteIdent(part.name), part)).join(', ')})`;
  const parts = [
    ...(after === undefined ? [] : [`${columns} > ${rowOf(key, after)}`]),
    ...(upTo === undefined ? [] : [`${columns} <= ${rowOf(key, upTo)}`]),
  ];
  return parts.length === 0 ? 'true' : parts.join(' AND ');
}

async function ascend(connection: Connection, key: readonly KeyColumn[], ends: readonly Bound[]): Promise<boolean> {
  const stepsAtOnce = 200;
  for (let at = 0; at + 1 < ends.length; at += stepsAtOnce) {
    const steps = ends.slice(at, at + stepsAtOnce + 1);
    const pairs = steps.slice(1).map((end, index) => `${rowOf(key, steps[index]!)} < ${rowOf(key, end)}`);
    if (pairs.length > 0 && (await connection.value(`SELECT ${pairs.join(' AND ')}`)) !== 't') return false;
  }
  return true;
}

function rowOf(key: readonly KeyColumn[], bound: Bound): string {
  const values = bound.map((part, at) => {
    const column = key[at]!;
    return comparable(`${quoteBytes(part)}::${column.type}${column.collate}`, column);
  });
  return `(${values.join(', ')})`;
}

/** What decides how keys compare. */
function orderOf(key: readonly KeyColumn[]): readonly string[] {
  return key.map(({type, collate}) => `${type}${collate}`);
}
