import {BkpError} from '../../../errors/index.ts';
import {rowsByTable} from '../catalog/by-table.ts';
import {members} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords, sqlStateOf} from '../connection/errors.ts';
import {quoteIdent, quoteText} from '../connection/quote.ts';
import {workOrLeave} from './later.ts';

// The database of a restore may have another locale than that of the backup. Then stored generated columns can compute
// other values from the same texts, and keys of partitions can order them otherwise. If the server has the locale of
// the backup too, as a collation, rows wait in tables whose texts have that: there, they have the values of the backup.

const collationIn = (schema: string) => `${schema}._bkp_locale`;

/** @param locale as `localeOf` writes it. @returns `provider` and `named`, or else those of libc */
function partsOf(locale: string) {
  const [, provider, named = ''] = /^(icu|builtin) (.*)$/su.exec(locale) ?? [];
  const [collate = '', type = collate] = locale.split(', ');
  return {provider, named, collate, type};
}

/**
 * Creates the locale of the backup as a collation, in a staging schema.
 * @param locale as `localeOf` writes it
 * @returns its name; undefined if the server does not have the locale
 */
export async function createLocale(
  connection: Connection,
  schema: string,
  locale: string,
): Promise<string | undefined> {
  const name = collationIn(schema);
  const {provider, named, collate, type} = partsOf(locale);
  const words =
    provider === undefined
      ? `PROVIDER = libc, LC_COLLATE = ${quoteText(collate)}, LC_CTYPE = ${quoteText(type)}`
      : `PROVIDER = ${provider}, LOCALE = ${quoteText(named)}`;
  const create = () => connection.run(`CREATE COLLATION IF NOT EXISTS ${name} (${words})`);
  return (await workOrLeave(connection, create)) ? name : undefined;
}

/** In the transaction that drops the schema. */
export async function dropLocale(connection: Connection, schema: string): Promise<void> {
  await connection.run(`DROP COLLATION IF EXISTS ${collationIn(schema)}`);
}

/** Whether the tree of an expression, as the catalog has it, has a part that depends on the locale of the database. */
const dependsOnLocale = (tree: string) => String.raw`${tree}::text ~ ':inputcollids? (\(o )?([0-9]+ )*100[^0-9]'`;
/** Whether a part of it has several collations, of which none is chosen: only some functions accept that. */
const withoutCollation = (tree: string) =>
  `(SELECT count(*) FROM regexp_matches(${tree}::text, ':inputcollid 0[^0-9]', 'g'))`;

/** A generated column whose values depend on the locale of the database. */
export type LocaleColumn = {name: string; type: string; expression: string};

export async function localeColumns(
  connection: Connection,
  oids: readonly number[],
): Promise<{of(oid: number): readonly LocaleColumn[]}> {
  const rows = await rowsByTable(
    connection,
    oids,
    `SELECT f.adrelid, a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(f.adbin, f.adrelid)
      FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = 's'
      WHERE f.adrelid = ANY ($1::oid[]) AND ${dependsOnLocale('f.adbin')} ORDER BY f.adrelid, a.attnum`,
  );
  return {
    of: (oid) => rows.of(oid).map(([name, type, expression]) => ({name: name!, type: type!, expression: expression!})),
  };
}

/** Those of the tables that the order of texts divides into partitions. */
export async function dividedByLocale(connection: Connection, oids: readonly number[]): Promise<ReadonlySet<number>> {
  // Which texts are equal is the same in all locales.
  const found = await connection.rows(
    `WITH ${members(oids.map((oid) => ({oid})))}
    SELECT DISTINCT m.root FROM member m JOIN pg_partitioned_table p ON p.partrelid = m.oid
      WHERE p.partstrat = 'r' AND 100 = ANY (p.partcollation::oid[]) OR ${dependsOnLocale('p.partexprs')}`,
  );
  return new Set(found.map(([root]) => Number(root)));
}

/** Names of the columns of a table whose texts have the locale of the database. */
export async function columnsOfLocale(connection: Connection, oid: number): Promise<ReadonlySet<string>> {
  const rows = await connection.rows(
    'SELECT attname FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attcollation = 100',
    [oid],
  );
  return new Set(rows.map(([name]) => name!));
}

/**
 * Gives a table whose texts have the locale of the backup a column that computes what one of another table does.
 * @param keep qualified and quoted
 * @param table the oid of the other one
 * @returns whether it can
 */
export async function addLocaleColumn(
  connection: Connection,
  {keep, table}: {keep: string; table: number},
  {name, type, expression}: LocaleColumn,
): Promise<boolean> {
  const column = quoteIdent(name);
  const add = () =>
    connection.run(
      `ALTER TABLE ${keep} ADD COLUMN IF NOT EXISTS ${column} ${type} GENERATED ALWAYS AS (${expression}) STORED`,
    );
  if (!(await workOrLeave(connection, add))) return false;
  const isSame = await connection.value(
    `SELECT count(DISTINCT ${withoutCollation('f.adbin')}) = 1 FROM pg_attrdef f
      JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
      WHERE f.adrelid IN ($1::text::regclass, $2) AND a.attname = $3`,
    [keep, table, name],
  );
  if (isSame === 't') return true;
  await connection.run(`ALTER TABLE ${keep} DROP COLUMN ${column}`);
  return false;
}

/** Bounds of partitions that overlap or have nothing between them: in the other locale, they were in another order. */
export function refusedByLocale(error: unknown, here: string, then: string): unknown {
  if (!(error instanceof BkpError) || sqlStateOf(error) !== '42P17') return error;
  return new BkpError('PRECONDITION', `the locale of the target does not allow a table: ${serverWords(error)}`, {
    cause: `the database orders texts as in ${here}, that of the backup as in ${then}; nothing was restored`,
    next: `restore into a database with that locale: createdb -T template0 ${createdbWords(then)} NAME`,
    context: error.context,
  });
}

/** Arguments of createdb. */
function createdbWords(locale: string): string {
  const {provider, named, collate, type} = partsOf(locale);
  if (provider !== undefined) return `--locale-provider=${provider} --${provider}-locale='${named}'`;
  return collate === type ? `--locale='${collate}'` : `--lc-collate='${collate}' --lc-ctype='${type}'`;
}
