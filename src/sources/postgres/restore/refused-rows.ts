import type {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import {columnList, columnsOf} from '../catalog/columns.ts';
import {members} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {qualified, quoteIdent} from '../connection/quote.ts';
import {workOrLeave} from './later.ts';
import type {MissingContent} from './left-out.ts';
import {openRests} from './rest-partitions.ts';
import type {StoredTable} from './stored.ts';

// A stored generated column and the key of partitions are evaluated again for each row that comes. If a function in
// them was replaced since the rows were written, it may refuse them. Then the table changes, and the rows come back.

/** What the user made, and no extension. Below this number is what the server came with. */
const isOwn = (depend: string) => `${depend}.refobjid >= 16384
  AND (${depend}.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass)
    OR ${depend}.refclassid = 'pg_type'::regclass
      AND EXISTS (SELECT FROM pg_type y WHERE y.oid = ${depend}.refobjid AND y.typtype = 'd'))
  AND NOT EXISTS (SELECT FROM pg_depend e
    WHERE e.classid = ${depend}.refclassid AND e.objid = ${depend}.refobjid AND e.deptype = 'e')`;

/** Those of the tables of which a stored generated column or the key of partitions calls a function of the user. */
export async function callOwnFunctions(connection: Connection, oids: readonly number[]): Promise<ReadonlySet<number>> {
  const found = await connection.rows(
    `WITH ${members(oids.map((oid) => ({oid})))}
    SELECT m.root FROM member m JOIN pg_attrdef f ON f.adrelid = m.oid
      JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = 's'
      JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid WHERE ${isOwn('d')}
    UNION SELECT m.root FROM member m JOIN pg_partitioned_table p ON p.partrelid = m.oid
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = m.oid WHERE ${isOwn('d')}`,
  );
  return new Set(found.map(([oid]) => Number(oid)));
}

type Refused = {
  target: StoredTable;
  /** Where the rows are until then. */
  rows: {name: string};
  error: BkpError;
  /** Gives the published table its rows, with the columns that both have. */
  fill: () => Promise<void>;
  missing: MissingContent | undefined;
};

/**
 * Gives a published table the rows that it refused: in partitions of their own, or without the values of a generated
 * column, which is a plain one then.
 * @returns whether they came; if not, the transaction is as before
 */
export async function fillRefused(connection: Connection, refused: Refused): Promise<boolean> {
  const {target, error, fill, missing} = refused;
  const name = qualified(target.schema, target.table);
  const oid = Number(await connection.value('SELECT $1::text::regclass::oid', [name]));
  const rests = {name, rests: `${quoteIdent(target.schema)}.bkp_rest_${oid}`};
  const kept = await namesIn(connection, refused.rows.name);
  const generated = await generatedOf(connection, oid);
  const sets = [...generated.map((one) => [one]), ...(generated.length > 1 ? [generated] : [])];
  const isAboutPartitions = error.context.sqlState === '23514';
  const ways = isAboutPartitions ? [[], ...sets] : sets;
  for (const columns of ways) {
    const isFilled = await workOrLeave(connection, async () => {
      if (isAboutPartitions) await openRests(connection, rests);
      for (const {column, isNotNull} of columns) {
        const alter = `ALTER TABLE ${name} ALTER ${quoteIdent(column)}`;
        await connection.run(`${alter} DROP EXPRESSION`);
        if (isNotNull && !kept.has(column)) await connection.run(`${alter} DROP NOT NULL`);
      }
      await fill();
    });
    if (!isFilled) continue;
    for (const {column, expression} of columns) {
      const mend = `UPDATE ${name} SET ${quoteIdent(column)} = ${expression};`;
      const now = kept.has(column) ? 'with the values of the backup' : 'and NULL in all rows';
      const why = `${serverWords(error)}; it is a plain column now, ${now}: ${mend} computes its values`;
      const what = kept.has(column) ? 'expression' : 'values';
      const heirs = (await hasHeirs(connection, oid)) ? ', and of tables that inherit from it' : '';
      missing?.({name: `the ${what} of the generated column ${column} of ${target.name}${heirs}`, why});
    }
    if (isAboutPartitions) await tellRests(connection, {...refused, name, oid, start: rests.rests});
    return true;
  }
  return false;
}

/** The columns of a table. @param table qualified and quoted */
export async function namesIn(connection: Connection, table: string): Promise<ReadonlySet<string>> {
  const sql =
    'SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped';
  return new Set((await connection.rows(sql, [table])).map(([name]) => name!));
}

async function hasHeirs(connection: Connection, oid: number): Promise<boolean> {
  const found = await connection.value(
    `SELECT EXISTS (SELECT FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
      WHERE inhparent = $1 AND NOT c.relispartition)`,
    [oid],
  );
  return found === 't';
}

async function generatedOf(connection: Connection, oid: number) {
  const rows = await connection.rows(
    `SELECT a.attname, pg_get_expr(f.adbin, f.adrelid), a.attnotnull FROM pg_attrdef f
      JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = 's'
      WHERE f.adrelid = $1 AND EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND ${isOwn('d')})
      ORDER BY a.attnum`,
    [oid],
  );
  return rows.map(([column, expression, notNull]) => ({
    column: column!,
    expression: expression!,
    isNotNull: notNull === 't',
  }));
}

/** Drops the partitions that stayed empty, and tells of the others. */
async function tellRests(
  connection: Connection,
  {target, error, missing, name, oid, start}: Refused & {name: string; oid: number; start: string},
): Promise<void> {
  const rows = await connection.rows(
    `SELECT relid::regclass FROM pg_partition_tree($1) JOIN pg_class c ON c.oid = relid
      WHERE starts_with(c.relname, $2) ORDER BY 1`,
    [oid, start.slice(start.lastIndexOf('.') + 1)],
  );
  const list = columnList((await columnsOf(connection, oid)).columns);
  for (const [rest] of rows) {
    const count = Number(await connection.value(`SELECT count(*) FROM ${rest}`));
    if (count === 0) {
      await connection.run(`DROP TABLE ${rest}`);
      continue;
    }
    const mend =
      `WITH moved AS (DELETE FROM ${rest} RETURNING ${list}) ` +
      `INSERT INTO ${name} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM moved;`;
    missing?.({
      name: `the partition of ${formatCount(count, 'row')} of ${target.name}`,
      why: `${serverWords(error)}; they are in ${rest}, and when the function is mended, ${mend} moves them`,
    });
  }
}
