import {BkpError} from '../../../errors/index.ts';
import {columnList, columnsOf, kindsOf} from '../catalog/columns.ts';
import {columnsOfNames} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {qualified, quoteIdent} from '../connection/quote.ts';
import {withSilentTriggers} from './silenced.ts';
import type {StoredTable} from './stored.ts';

/** A table in the staging schema that has the rows of one whose values name other tables or views. */
export type LateRows = {
  /** Qualified and quoted. */
  name: string;
  /** Types of the columns that it has as text. */
  types: ReadonlyMap<string, string>;
};

/**
 * A value of type `regclass` can be read when there is a table of that name, which is not so before all tables are
 * published. Until then such a value is kept as text, in a table like the staged one.
 * @param staged qualified names: the table, and the one to create
 * @returns undefined for a table without such values
 */
export async function keepLate(
  connection: Connection,
  {table, keep}: {table: string; keep: string},
): Promise<LateRows | undefined> {
  const oid = Number(await connection.value('SELECT $1::text::regclass::oid', [table]));
  const types = await columnsOfNames(connection, oid);
  if (types.size === 0) return undefined;
  const {columns} = await columnsOf(connection, oid);
  const list = columns.map(({name}) => (types.has(name) ? `${quoteIdent(name)}::text` : quoteIdent(name)));
  const names = columns.map(({name}) => quoteIdent(name)).join(', ');
  // A staging that is continued has it.
  await connection.run(
    `CREATE TABLE IF NOT EXISTS ${keep} (${names}) AS SELECT ${list.join(', ')} FROM ${table} WHERE false`,
  );
  return {name: keep, types};
}

/**
 * Fills a published table with its rows.
 * @throws BkpError `PRECONDITION` if something that a value names does not exist
 */
export async function fillLate(connection: Connection, rows: LateRows, target: StoredTable): Promise<void> {
  const name = qualified(target.schema, target.table);
  const oid = Number(await connection.value('SELECT $1::text::regclass::oid', [name]));
  const {columns} = await columnsOf(connection, oid);
  const kinds = await kindsOf(connection, oid);
  const values = columns.map(({name: column}) => {
    const [value, type] = [quoteIdent(column), rows.types.get(column)];
    if (type === undefined) return value;
    // The cast of a text to regclass takes names only, and not `-` or the number of a table that is gone.
    if (kinds.get(column) !== 'regclass') return `${value}::${type}`;
    return `pg_catalog.regclassin(pg_catalog.textout(${value}))::${type}`;
  });
  const insert = `INSERT INTO ${name} (${columnList(columns)}) OVERRIDING SYSTEM VALUE
    SELECT ${values.join(', ')} FROM ${rows.name};
    SET CONSTRAINTS ALL IMMEDIATE`;
  try {
    await withSilentTriggers(connection, [{oid}], {notice: undefined, work: () => connection.run(insert)});
  } catch (error) {
    if (!(error instanceof BkpError) || error.context.sqlState === undefined || error.retryable) throw error;
    throw new BkpError('PRECONDITION', `the rows of ${target.name} do not fit: ${serverWords(error)}`, {
      cause: 'a column has names of other objects as its values, and all of them must exist',
      next: 'create what is missing, or restore the other tables: RESTORE … TABLE a, TABLE b',
      context: {table: target.name},
    });
  }
  await connection.run(`ANALYZE ${name}; DROP TABLE ${rows.name}`);
}
