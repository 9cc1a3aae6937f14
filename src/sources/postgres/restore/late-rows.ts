import {BkpError} from '../../../errors/index.ts';
import {rowsByTable} from '../catalog/by-table.ts';
import {columnsOf} from '../catalog/columns.ts';
import {columnsOfNames} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {qualified, quoteIdent} from '../connection/quote.ts';
import {type LookingFunctions, typeKey} from '../schema/looking-functions.ts';
import {freeColumns} from './free-columns.ts';
import type {HeldDomains} from './held-domains.ts';
import {onSomePath} from './later.ts';
import type {MissingContent} from './left-out.ts';
import {generatedFrom} from './looking-parts.ts';
import {addLocaleColumn, columnsOfLocale, type LocaleColumn} from './other-locale.ts';
import {fillRefused} from './refused-rows.ts';
import {withSilentTriggers} from './silenced.ts';
import type {StoredTable} from './stored.ts';
import {insertEach, insertion, requireSameValues, type TypedColumn, typedColumns} from './typed-rows.ts';

/** A staged table that may need another one for its rows. */
type Staged = {
  oid: number;
  /** Qualified and quoted, as `keep`: the one to create. */
  table: string;
  keep: string;
  /** Generated columns of which the backup has the values. */
  generated: readonly string[];
  /** A function of the user, or another locale, may refuse rows. */
  isRefusing: boolean;
  /** Present if the target has another locale. */
  locale?: {collation: string; columns: readonly LocaleColumn[]} | undefined;
};

/** A table in the staging schema that has the rows of one whose rows cannot come before all tables have their names. */
export type LateRows = {
  /** Qualified and quoted. */
  name: string;
  /** Columns that it has as text, or without the checks of a domain. */
  others: ReadonlySet<string>;
  /** Columns that the table computes. */
  computed: ReadonlySet<string>;
  /** Names, without schemas, of tables whose rows must be there before. */
  after: ReadonlySet<string>;
  /** Columns that depend on the locale, and of which it cannot have the values of the backup. */
  uncompared: readonly string[];
};

/**
 * A value of type `regclass` can be read when there is a table of that name, which is not so before all tables are
 * published. So it is with a value whose domain has a check that looks at another table, and with generated columns
 * that do. Until then the rows are in a table like the staged one, but such a value is text, or has no domain. Rows
 * that a function of a generated column or of the key of partitions may refuse wait there too.
 * A backup has the values of generated columns that call functions of the user, or are of a primary key: only a plain
 * column can take them.
 * @param staged.locale its columns are computed there as in the locale of the backup
 * @returns undefined for a table whose rows can come at once
 */
export async function keepLate(
  connection: Connection,
  {oid, table, keep, generated, isRefusing, locale}: Staged,
  {looking, held}: {looking: LookingFunctions | undefined; held: ReadonlySet<string>},
): Promise<LateRows | undefined> {
  const named = await columnsOfNames(connection, oid);
  const waits = (type: string) => held.has(type) || looking?.lookedAtBy(typeKey(type)) !== undefined;
  const hasNone = looking === undefined && held.size === 0;
  const typed = hasNone ? new Map<string, string>() : await freeColumns(connection, {oid}, waits);
  const after = looking && (await generatedFrom(connection, looking, {oid}));
  const free = new Map([...typed, ...[...named.keys()].map((name) => [name, 'text'] as const)]);
  if (free.size === 0 && after === undefined && generated.length === 0 && !isRefusing && !locale) {
    return undefined;
  }
  const computed = (await generatedColumns(connection, [oid])).of(oid);
  const plain = (await columnsOf(connection, oid)).columns.filter(({name}) => !computed.includes(name));
  const columns = [...plain, ...generated.map((name) => ({name}))];
  const texts = locale === undefined ? new Set<string>() : await columnsOfLocale(connection, oid);
  const list = columns.map(({name}) => {
    const type = free.get(name);
    if (type !== undefined) return `${quoteIdent(name)}::${type} AS ${quoteIdent(name)}`;
    return texts.has(name)
      ? `${quoteIdent(name)} COLLATE ${locale!.collation} AS ${quoteIdent(name)}`
      : quoteIdent(name);
  });
  const names = columns.map(({name}) => quoteIdent(name)).join(', ');
  // A staging that is continued has it.
  await connection.run(
    `CREATE TABLE IF NOT EXISTS ${keep} (${names}) AS SELECT ${list.join(', ')} FROM ${table} WHERE false`,
  );
  const uncompared: string[] = [];
  for (const column of locale?.columns ?? []) {
    if (columns.some(({name}) => name === column.name)) continue;
    if (!(await addLocaleColumn(connection, {keep, table: oid}, column))) uncompared.push(column.name);
  }
  return {
    ...{name: keep, others: new Set(free.keys()), computed: new Set(computed), after: after ?? new Set()},
    uncompared,
  };
}

export type Filled = {rows: LateRows; target: StoredTable};
type Failed = {one: Filled; error: BkpError};

type FillOptions = {
  /** Of the database of the backup. */
  searchPath: string | undefined;
  held: HeldDomains;
  missing: MissingContent | undefined;
  /** All tables that are restored, under their names. */
  targets: readonly StoredTable[];
  /** Of the backup, if the target has another one. */
  otherLocale: string | undefined;
};

/**
 * Fills published tables with their rows. A table whose rows need those of another one comes after it.
 * @throws BkpError `PRECONDITION` if something that a value names or that a function looks at does not exist
 */
export async function fillLate(
  connection: Connection,
  tables: readonly Filled[],
  {searchPath, held, missing, targets, otherLocale}: FillOptions,
): Promise<void> {
  const fillOne = async (one: Filled, rest?: string): Promise<void> => {
    try {
      await onSomePath(connection, searchPath, () => fill(connection, one, rest));
    } catch (error) {
      if (!(await held.giveWay(error))) throw error;
      await fillOne(one, rest);
    }
  };
  const fillSome = async (failed: readonly Failed[]): Promise<Filled | undefined> => {
    for (const {one, error} of failed) {
      const givingWay = (rest?: string) => held.keepOnFailure(() => fillOne(one, rest));
      if (await fillRefused(connection, {...one, error, fill: givingWay, missing, targets, otherLocale})) return one;
    }
    return undefined;
  };
  let left = inOrderOfReading(tables);
  while (left.length > 0) {
    const failed: Failed[] = [];
    for (const one of left) {
      await fillOne(one).catch((error: unknown) => {
        if (!(error instanceof BkpError) || error.context.sqlState === undefined || error.retryable) throw error;
        failed.push({one, error});
      });
    }
    const [first] = failed;
    // What fails may need the rows of another table, so nothing gives way before that.
    const given = failed.length === left.length ? await fillSome(failed) : undefined;
    if (first !== undefined && failed.length === left.length && given === undefined) {
      throw unfit(first.one.target, first.error);
    }
    left = failed.map(({one}) => one).filter((one) => one !== given);
  }
}

function inOrderOfReading(tables: readonly Filled[]): readonly Filled[] {
  const order = new Set<Filled>();
  const visit = (one: Filled, path: ReadonlySet<Filled>) => {
    if (path.has(one) || order.has(one)) return;
    const before = tables.filter(({target}) => one.rows.after.has(target.table));
    for (const other of before) visit(other, new Set([...path, one]));
    order.add(one);
  };
  for (const one of tables) visit(one, new Set());
  return [...order];
}

/** @param rest a table to create, which gets the rows that the published one refuses */
async function fill(connection: Connection, {rows, target}: Filled, rest: string | undefined): Promise<void> {
  const name = qualified(target.schema, target.table);
  const oid = Number(await connection.value('SELECT $1::text::regclass::oid', [name]));
  const generated = new Set((await generatedColumns(connection, [oid])).of(oid));
  const columns = await typedColumns(connection, oid, rows);
  const isComputed = (column: TypedColumn) => generated.has(column.name);
  const plain = columns.filter((column) => !isComputed(column));
  const from = {...rows, columns};
  const work = () =>
    rest === undefined
      ? connection.run(`${insertion(name, plain, rows.name)}; SET CONSTRAINTS ALL IMMEDIATE`)
      : insertEach(connection, {into: name, plain, from, rest});
  await withSilentTriggers(connection, [{oid}], {notice: undefined, work});
  const computed = columns.filter(isComputed);
  await requireSameValues(connection, {target, from, computed, rest});
  await connection.run(`DROP TABLE ${rows.name}`);
}

/** The names of the generated columns of each table, in their order. @param where a condition on pg_attribute */
export async function generatedColumns(
  connection: Connection,
  oids: readonly number[],
  where = 'true',
): Promise<{of(oid: number): readonly string[]}> {
  const rows = await rowsByTable(
    connection,
    oids,
    `SELECT attrelid, attname FROM pg_attribute
      WHERE attrelid = ANY ($1::oid[]) AND attgenerated <> '' AND NOT attisdropped AND ${where}
      ORDER BY attrelid, attnum`,
  );
  return {of: (oid) => rows.of(oid).map(([name]) => name!)};
}

function unfit(target: StoredTable, error: BkpError): BkpError {
  return new BkpError('PRECONDITION', `the rows of ${target.name} do not fit: ${serverWords(error)}`, {
    cause:
      'its columns name or look at other objects, and all of them must exist under the names of the backup; ' +
      'or a function that was changed since refuses the rows',
    next: 'create what is missing, or restore the other tables: RESTORE … TABLE a, TABLE b',
    context: {table: target.name},
  });
}
