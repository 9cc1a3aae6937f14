import type {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import {isOwn} from '../catalog/own-functions.ts';
import {members} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {qualified, quoteIdent} from '../connection/quote.ts';
import {dropExpression} from './drop-expression.ts';
import {isAboutNames, workOrLeave} from './later.ts';
import type {MissingContent} from './left-out.ts';
import {openRests} from './rest-partitions.ts';
import type {StoredTable} from './stored.ts';
import {namesIn, otherValuesIn} from './typed-rows.ts';

// A stored generated column and the key of partitions are evaluated again for each row that comes. If a function in
// them was replaced since the rows were written, it may refuse them, or compute something else. Then the table changes,
// and the rows come back as they were.

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
  /** All tables that are restored, under their names. */
  targets: readonly StoredTable[];
  /** Where the rows are until then. */
  rows: {name: string};
  error: BkpError;
  /**
   * Gives the published table its rows, with the columns that both have.
   * @param rest a table to create for the rows that it refuses
   */
  fill: (rest?: string) => Promise<void>;
  missing: MissingContent | undefined;
  /** Of the backup, if the target has another one. */
  otherLocale: string | undefined;
};

/** A generated column, and the tables in which it has to become a plain one: those from which it is inherited. */
type Generated = {
  column: string;
  expression: string;
  isNotNull: boolean;
  /** It calls a function of the user. */
  callsOwn: boolean;
  owners: readonly StoredTable[];
};

/**
 * Gives a published table the rows that it refused, or of which it computed other values: with a plain column in place
 * of a generated one, in partitions of their own, or in a table of their own.
 * @returns whether they came; if not, the transaction is as before
 */
export async function fillRefused(connection: Connection, refused: Refused): Promise<boolean> {
  const {target, fill} = refused;
  const name = qualified(target.schema, target.table);
  const oid = Number(await connection.value('SELECT $1::text::regclass::oid', [name]));
  const start = `${quoteIdent(target.schema)}.bkp_rest_${oid}`;
  const kept = await namesIn(connection, refused.rows.name);
  for (const {columns, others} of await waysOf(connection, {...refused, oid, kept})) {
    const isFilled = await workOrLeave(connection, async () => {
      if (others === 'partitions') await openRests(connection, {name, rests: start});
      for (const {column, isNotNull, owners} of columns) {
        for (const owner of owners) {
          const own = qualified(owner.schema, owner.table);
          await dropExpression(connection, own, column);
          if (!isNotNull || kept.has(column)) continue;
          await connection.run(`ALTER TABLE ${own} ALTER ${quoteIdent(column)} DROP NOT NULL`);
        }
      }
      await fill(others === 'table' ? start : undefined);
    });
    if (!isFilled) continue;
    for (const one of columns) await tellPlain(connection, one, {...refused, isKept: kept.has(one.column)});
    const rests = others === 'partitions' ? await partitionsBelow(connection, oid, start) : [start];
    if (others !== undefined) for (const rest of rests) await tellRest(connection, refused, rest);
    return true;
  }
  return false;
}

/** `columns` become plain ones. `others`: where rows come that belong to no partition: into default ones, or beside. */
type Way = {columns: readonly Generated[]; others?: 'partitions' | 'table' | undefined};

/** What is known to be wrong comes first, and what changes least. */
async function waysOf(
  connection: Connection,
  {target, error, targets, oid, kept}: Refused & {oid: number; kept: ReadonlySet<string>},
): Promise<readonly Way[]> {
  const generated = await generatedOf(connection, {oid, kept, targets});
  const wrong = generated.filter(({column}) => otherValuesIn(error).includes(column));
  const sets = [wrong, ...generated.map((one) => [one]), generated].filter((set) => set.length > 0);
  const ways: Way[] = sets.map((columns) => ({columns}));
  if (target.kind !== 'partitioned') return ways;
  const withOthers = (others: Way['others']) => [[], ...sets].map((columns) => ({columns, others}));
  if (error.context.sqlState === '23514') return [...withOthers('partitions'), ...withOthers('table')];
  // What does not exist can be restored, too.
  return isAboutNames(error) ? ways : [...ways, ...withOthers('table')];
}

async function tellPlain(
  connection: Connection,
  {column, expression, callsOwn, owners}: Generated,
  {error, missing, isKept, target, otherLocale}: Refused & {isKept: boolean},
): Promise<void> {
  const lacked = callsOwn || otherLocale === undefined ? 'the mended function' : `the locale ${otherLocale}`;
  for (const owner of owners) {
    const own = qualified(owner.schema, owner.table);
    const now = isKept ? 'with the values of the backup' : `and NULL in all rows of ${target.name}`;
    const mend = `UPDATE ${own} SET ${quoteIdent(column)} = ${expression};`;
    const why =
      `${serverWords(error)}; it is a plain column now, ${now}. A restore into a database that has ${lacked} brings ` +
      `it as it was; ${mend} computes its values here`;
    const what = isKept ? 'expression' : 'values';
    const heirs = (await hasHeirs(connection, own)) ? ', and of tables that inherit from it' : '';
    missing?.({name: `the ${what} of the generated column ${column} of ${owner.name}${heirs}`, why});
  }
}

/** @param table qualified and quoted */
async function hasHeirs(connection: Connection, table: string): Promise<boolean> {
  const found = await connection.value(
    `SELECT EXISTS (SELECT FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
      WHERE inhparent = $1::text::regclass AND NOT c.relispartition)`,
    [table],
  );
  return found === 't';
}

/** Generated columns that call functions of the user, or of which the rows have values. */
async function generatedOf(
  connection: Connection,
  {oid, kept, targets}: Pick<Refused, 'targets'> & {oid: number; kept: ReadonlySet<string>},
): Promise<readonly Generated[]> {
  const rows = await connection.rows(
    `SELECT a.attname, pg_get_expr(f.adbin, f.adrelid), a.attnotnull, EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND ${isOwn('d')})
      FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = 's'
      WHERE f.adrelid = $1 ORDER BY a.attnum`,
    [oid],
  );
  const found: Generated[] = [];
  for (const [column, expression, notNull, callsOwn] of rows) {
    if (callsOwn !== 't' && !kept.has(column!)) continue;
    const owners = await ownersOf(connection, {oid, column: column!, targets});
    const facts = {column: column!, expression: expression!, isNotNull: notNull === 't', callsOwn: callsOwn === 't'};
    if (owners !== undefined) found.push({...facts, owners});
  }
  return found;
}

/** @returns undefined if one of them is a living table */
async function ownersOf(
  connection: Connection,
  {oid, column, targets}: Pick<Refused, 'targets'> & {oid: number; column: string},
): Promise<readonly StoredTable[] | undefined> {
  const rows = await connection.rows(
    `WITH RECURSIVE up (oid) AS (
        SELECT $1::oid UNION SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = oid),
      has (oid) AS (SELECT up.oid FROM up JOIN pg_attribute a ON a.attrelid = up.oid AND a.attname = $2
        AND a.attgenerated = 's')
    SELECT n.nspname, c.relname FROM has JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT EXISTS (SELECT FROM pg_inherits i JOIN has parent ON parent.oid = i.inhparent WHERE i.inhrelid = c.oid)
      ORDER BY 1, 2`,
    [oid, column],
  );
  const owners = rows.map(([schema, table]) => targets.find((one) => one.schema === schema && one.table === table));
  return owners.includes(undefined) ? undefined : (owners as readonly StoredTable[]);
}

async function partitionsBelow(connection: Connection, oid: number, start: string): Promise<readonly string[]> {
  const rows = await connection.rows(
    `SELECT relid::regclass FROM pg_partition_tree($1) JOIN pg_class c ON c.oid = relid
      WHERE starts_with(c.relname, $2) ORDER BY 1`,
    [oid, start.slice(start.lastIndexOf('.') + 1)],
  );
  return rows.map(([name]) => name!);
}

/** Names a table that has the rows which belong to no partition, or drops it if it stayed empty. */
async function tellRest(
  connection: Connection,
  {target, error, missing, otherLocale}: Refused,
  rest: string,
): Promise<void> {
  const count = Number(await connection.value(`SELECT count(*) FROM ${rest}`));
  if (count === 0) {
    await connection.run(`DROP TABLE ${rest}`);
    return;
  }
  const name = qualified(target.schema, target.table);
  const [owner, list] = (
    await connection.rows(
      `SELECT quote_ident(pg_get_userbyid(relowner)), (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
          FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '')
        FROM pg_class c WHERE c.oid = $1::text::regclass`,
      [name],
    )
  )[0]!;
  const isGiven = await workOrLeave(connection, () => connection.run(`ALTER TABLE ${rest} OWNER TO ${owner}`));
  const whose = isGiven ? '' : `, which ${owner} cannot own,`;
  const mend =
    `WITH moved AS (DELETE FROM ${rest} RETURNING ${list}) ` +
    `INSERT INTO ${name} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM moved;`;
  const when = otherLocale === undefined ? 'when the function is mended' : 'when they fit into partitions';
  const locale =
    otherLocale === undefined ? '' : `; a restore into a database that has the locale ${otherLocale} brings them there`;
  missing?.({
    name: `the partition of ${formatCount(count, 'row')} of ${target.name}`,
    why: `${serverWords(error)}; they are in ${rest}${whose} and ${when}, ${mend} moves them${locale}`,
  });
}
