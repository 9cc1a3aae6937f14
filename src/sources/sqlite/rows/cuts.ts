import * as v from 'valibot';
import {parsedJson} from '../../../lib/schema.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {keyAffinity, type Table} from '../schema/table.ts';
import {type Boundary, bound, keyColumns, rowValue} from './boundary.ts';

/** Where a base was cut; described in docs/format.md. */
const schema = v.object({
  version: v.literal(1),
  keyParts: v.number(),
  /** Absent in the cuts of older versions. */
  key: v.optional(v.array(v.string())),
  rowsPerSegment: v.pipe(v.number(), v.integer(), v.minValue(1)),
  ranges: v.pipe(
    v.array(
      v.object({
        upTo: v.exactOptional(v.array(v.tuple([v.picklist(['integer', 'real', 'text', 'blob']), v.string()]))),
        segment: v.number(),
        rows: v.number(),
      }),
    ),
    v.minLength(1),
  ),
});

/** A range of keys in the previous base. */
export type Range = {
  /** The last key in it; absent: no upper limit. */
  upTo?: Boundary | undefined;
  /** The segment of that base that began here. */
  segment: number;
  rows: number;
};

type Cuts = {rowsPerSegment: number; ranges: readonly Range[]};

export function cutsOf(table: Table, {rowsPerSegment, ranges}: Cuts): string {
  const key = keyFingerprint(table);
  return JSON.stringify({version: 1, keyParts: key.length, key, rowsPerSegment, ranges});
}

/**
 * @returns undefined when the cuts are unusable: there are none, the key has changed, or a newer bkp wrote
 *   them. The base is then cut like a first one.
 */
export function usableCuts(connection: Connection, table: Table, previous: string | undefined): Cuts | undefined {
  if (previous === undefined) return undefined;
  const cuts = readCuts(previous);
  if (cuts === undefined) return undefined;
  const key = keyFingerprint(table);
  if (cuts.keyParts !== key.length || (cuts.key !== undefined && cuts.key.join() !== key.join())) return undefined;
  const ends = cuts.ranges.map(({upTo}) => upTo);
  if (ends.pop() !== undefined) return undefined;
  if (!ends.every((end) => end?.length === key.length)) return undefined;
  return ascend(connection, table, ends as Boundary[]) ? cuts : undefined;
}

function readCuts(text: string): v.InferOutput<typeof schema> | undefined {
  try {
    return parsedJson<v.InferOutput<typeof schema>>(schema, text, (why) => new Error(why));
  } catch {
    return undefined;
  }
}

/** What decides how keys compare. */
function keyFingerprint(table: Table): readonly string[] {
  return table.key.kind === 'rowid'
    ? ['rowid']
    : table.key.parts.map(({collation}, part) => `${keyAffinity(table, part)} ${collation.toUpperCase()}`);
}

/** Whether the ends ascend as the key's index compares them; only then is each row in exactly one range. */
function ascend(connection: Connection, table: Table, ends: readonly Boundary[]): boolean {
  const {key} = table;
  const columns = keyColumns(key);
  const typed = columns.map((column, part) => {
    const collation = key.kind === 'rowid' ? '' : ` COLLATE ${quoteName(key.parts[part]!.collation)}`;
    return `${column} ${keyAffinity(table, part)}${collation}`;
  });
  connection.exec(
    `DROP TABLE IF EXISTS temp._bkp_cuts; CREATE TABLE temp._bkp_cuts (n INTEGER PRIMARY KEY, ${typed.join(', ')})`,
  );
  for (const end of ends) {
    const values = end.map(bound);
    connection.run(
      `INSERT INTO temp._bkp_cuts (${columns.join(', ')}) VALUES (${values.map(({sql}) => sql).join(', ')})`,
      ...values.flatMap(({params}) => params),
    );
  }
  const row = (name: string) => rowValue(columns.map((column) => `${name}.${column}`));
  const wrong = connection.get(
    `SELECT 1 FROM temp._bkp_cuts AS a JOIN temp._bkp_cuts AS b ON b.n = a.n + 1
     WHERE (${row('a')} < ${row('b')}) IS NOT TRUE LIMIT 1`,
  );
  connection.exec('DROP TABLE temp._bkp_cuts');
  return wrong === undefined;
}
