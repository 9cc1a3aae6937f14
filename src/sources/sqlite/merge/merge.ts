import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import type {MergedTable, MergeMode} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {isSameStatement} from '../engine/sql-text.ts';
import {ownVersion, versionText} from '../engine/versions.ts';
import {reachOfTrigger} from '../schema/reach.ts';
import {loadedNames, type Table} from '../schema/table.ts';
import {addedColumns, underAnotherName} from './fit.ts';
import {hasKey, keyText, living, livingTable, nullInKey, sameKey, sameRow, stored, storedTable} from './match.ts';
import type {MergedPair} from './pair.ts';

const mostNamed = 10;

/** @throws BkpError `PRECONDITION` if a row cannot be found by its key */
export function requireKeys(connection: Connection, pair: MergedPair): void {
  const {name} = pair.table;
  for (const [side, rowsOf] of [
    [living, livingTable(pair)],
    [stored, storedTable(pair)],
  ] as const) {
    const condition = nullInKey(pair, side);
    if (condition === undefined) continue;
    const rows = connection.number(`SELECT count(*) FROM ${rowsOf} AS ${side} WHERE ${condition}`);
    if (rows === 0) continue;
    const where = side === living ? 'the table' : 'the backup';
    throw new BkpError(
      'PRECONDITION',
      `${formatCount(rows, 'row')} of ${name} with NULL in the primary key: in ${where}`,
      {
        cause: 'such rows are equal to no other row, so nothing says which of them belong together',
        next: "MODE='replace' brings all rows of the backup, and removes all others",
        context: {table: name},
      },
    );
  }
}

const isStored = (pair: MergedPair) =>
  `EXISTS (SELECT 1 FROM ${storedTable(pair)} AS ${stored} WHERE ${sameKey(pair, '=')})`;
const isLiving = (pair: MergedPair) =>
  `EXISTS (SELECT 1 FROM ${livingTable(pair)} AS ${living} WHERE ${sameKey(pair, '=')})`;
const isChanged = (pair: MergedPair) =>
  `EXISTS (SELECT 1 FROM ${storedTable(pair)} AS ${stored}
     WHERE ${sameKey(pair, '=')} AND NOT (${sameRow(pair)}))`;

/** What a merge would do now. */
export function countMerge(connection: Connection, pair: MergedPair, mode: MergeMode): MergedTable {
  const {name} = pair.table;
  const count = (of: string, condition = '1') => connection.number(`SELECT count(*) FROM ${of} WHERE ${condition}`);
  const here = `${livingTable(pair)} AS ${living}`;
  const there = `${storedTable(pair)} AS ${stored}`;
  if (pair.how.kind === 'swap' || !hasKey(pair.table)) {
    return {name, inserted: count(there), updated: 0, deleted: count(here), kept: 0};
  }
  const only = count(here, `NOT ${isStored(pair)}`);
  return {
    name,
    inserted: count(there, `NOT ${isLiving(pair)}`),
    updated: count(here, isChanged(pair)),
    deleted: mode === 'replace' ? only : 0,
    kept: mode === 'merge' ? only : 0,
  };
}

/** Keys of some rows that {@link countMerge} counts, for a table with a key. */
export function exampleKeys(connection: Connection, pair: MergedPair, count: number): MergedTable['examples'] {
  if (!hasKey(pair.table) || pair.how.kind === 'swap' || count === 0) return undefined;
  const keys = (of: string, side: typeof living | typeof stored, condition: string) =>
    connection
      .all(`SELECT ${keyText(pair, side)} AS key FROM ${of} AS ${side} WHERE ${condition} LIMIT ${count}`)
      .map(({key}) => String(key));
  return {
    inserted: keys(storedTable(pair), stored, `NOT ${isLiving(pair)}`),
    updated: keys(livingTable(pair), living, isChanged(pair)),
    deleted: keys(livingTable(pair), living, `NOT ${isStored(pair)}`),
  };
}

/**
 * Brings a living table to its state in the backup by changing the rows that differ. Within a write transaction.
 *
 * - The application's triggers do not fire: what they did when these rows were written is part of the data already, and
 *   an audit or a counter would take the restore for new work. bkp's own do, so the next increment has these rows.
 * - Changed rows are deleted and inserted: two rows may have exchanged values of a UNIQUE column.
 * - `OR ABORT` overrides an ON CONFLICT clause of the schema, by which a row of the backup would silently replace a
 *   living one.
 *
 * @throws BkpError `PRECONDITION` naming rows that cannot come back as they were
 */
export function mergeTable(
  connection: Connection,
  pair: MergedPair,
  {mode, notice}: {mode: MergeMode; notice: (text: string) => void},
): MergedTable {
  const {table} = pair;
  const counts = countMerge(connection, pair, mode);
  const {inserted, updated, deleted} = counts;
  if (inserted + updated + deleted === 0) return counts;
  const silent = silenceTriggers(connection, table);
  const kept = keepAddedValues(connection, pair);
  const from = `DELETE FROM ${livingTable(pair)}`;
  if (!hasKey(table)) connection.run(from);
  else {
    if (mode === 'replace') connection.run(`${from} AS ${living} WHERE NOT ${isStored(pair)}`);
    connection.run(`${from} AS ${living} WHERE ${isChanged(pair)}`);
  }
  insertMissing(connection, pair, kept);
  requireEqual(connection, pair, mode);
  reportAdded(pair, counts, notice);
  for (const trigger of silent) {
    notice(`trigger ${trigger.name} of ${table.name} did not fire for the rows that were restored${trigger.writes}`);
  }
  for (const {sql} of table.triggers) connection.exec(sql);
  return counts;
}

/** @returns the triggers with the tables that they use */
function silenceTriggers(connection: Connection, table: Table): readonly {name: string; writes: string}[] {
  const silent = table.triggers.map((trigger) => {
    const {used} = reachOfTrigger(connection, table.name, trigger);
    const others = [...used].filter((name) => name !== foldName(table.name)).sort();
    return {name: trigger.name, writes: others.length === 0 ? '' : `; it uses ${others.join(', ')}`};
  });
  for (const {name} of table.triggers) connection.exec(`DROP TRIGGER main.${quoteName(name)}`);
  return silent;
}

/** How a statement selects rows of the backup, for `names` of the living table. */
type Insertion = {names: readonly string[]; select: string};

const changedRows = `${ownPrefix}changed_rows`;

/**
 * The changed rows with the values that only the living table has, before they are deleted. Columns without a type:
 * SQLite converts nothing.
 */
function keepAddedValues(connection: Connection, pair: MergedPair): Insertion | undefined {
  const added = addedColumns(pair).map(({name}) => quoteName(name));
  if (added.length === 0) return undefined;
  const {columns} = loadedNames(pair.stored, {generated: false});
  const values = [...columns.map((column) => `${stored}.${column}`), ...added.map((column) => `${living}.${column}`)];
  const numbered = values.map((_, at) => `c${at}`).join(', ');
  connection.exec(`DROP TABLE IF EXISTS temp.${changedRows}; CREATE TABLE temp.${changedRows} (${numbered})`);
  connection.run(
    `INSERT INTO temp.${changedRows} SELECT ${values.join(', ')}
     FROM ${livingTable(pair)} AS ${living} JOIN ${storedTable(pair)} AS ${stored}
     ON ${sameKey(pair, '=')} WHERE NOT (${sameRow(pair)})`,
  );
  return {names: [...columns, ...added], select: `SELECT ${numbered} FROM temp.${changedRows}`};
}

function insertMissing(connection: Connection, pair: MergedPair, kept: Insertion | undefined): void {
  const {columns, rowid} = loadedNames(pair.stored, {generated: false});
  const names = [...rowid, ...columns];
  const missing = hasKey(pair.table) ? ` WHERE NOT ${isLiving(pair)}` : '';
  const all: readonly Insertion[] = [
    ...(kept === undefined ? [] : [kept]),
    {names, select: `SELECT ${names.join(', ')} FROM ${storedTable(pair)} AS ${stored}${missing}`},
  ];
  const insert = (how: string) => {
    for (const {names, select} of all) {
      connection.run(`INSERT OR ${how} INTO ${livingTable(pair)} (${names.join(', ')}) ${select}`);
    }
  };
  try {
    insert('ABORT');
  } catch (error) {
    if (resultCode(error) !== ResultCode.constraint && !isConstraint(error)) throw error;
    insert('IGNORE');
    throw refusedRows(connection, pair, error as Error);
  }
}

const isConstraint = (error: unknown) => resultCode((error as Error).cause) === ResultCode.constraint;

/** Rows of the backup that the rows that stay, or the table's own constraints, do not admit. */
function refusedRows(connection: Connection, pair: MergedPair, {message}: Error): BkpError {
  const {name} = pair.table;
  const refused = `FROM ${storedTable(pair)} AS ${stored} WHERE NOT ${isLiving(pair)}`;
  const rows = connection
    .all(`SELECT ${keyText(pair, stored)} AS key ${refused} LIMIT ${mostNamed}`)
    .map(({key}) => String(key));
  const number = connection.number(`SELECT count(*) ${refused}`);
  return new BkpError(
    'PRECONDITION',
    `${formatCount(number, 'row')} of ${name} cannot come back; nothing was changed`,
    {
      cause: message,
      details: rows.map((key) => `the row with ${key}`),
      next: message.startsWith('UNIQUE')
        ? `change or delete rows that have the same unique values, and try again; or ${underAnotherName(pair.table)}`
        : underAnotherName(pair.table),
      context: {table: name},
    },
  );
}

/** SQLite may convert a value that an older schema stored: then the row would not be the one of the backup. */
function requireEqual(connection: Connection, pair: MergedPair, mode: MergeMode): void {
  const {table} = pair;
  const operator = hasKey(table) ? 'IS' : '=';
  const same = `EXISTS (SELECT 1 FROM ${livingTable(pair)} AS ${living}
    WHERE ${sameKey(pair, operator)} AND ${sameRow(pair, {generated: isSameStatement(table.sql, pair.stored.sql)})})`;
  const different = connection.all(
    `SELECT ${keyText(pair, stored)} AS key FROM ${storedTable(pair)} AS ${stored} WHERE NOT ${same}
     LIMIT ${mostNamed}`,
  );
  const rows = (of: string) => connection.number(`SELECT count(*) FROM ${of}`);
  const isComplete = mode === 'merge' || rows(livingTable(pair)) === rows(storedTable(pair));
  if (different.length === 0 && isComplete) return;
  const own = versionText(ownVersion(connection));
  throw new BkpError('PRECONDITION', `rows of ${table.name} would come back changed; nothing was changed`, {
    cause: `SQLite ${own} converts or computes values otherwise than when they were written`,
    details: different.map(({key}) => `the row with ${key}`),
    next: underAnotherName(table),
    context: {table: table.name},
  });
}

function reportAdded(pair: MergedPair, {inserted, updated}: MergedTable, notice: (text: string) => void): void {
  const added = addedColumns(pair).map(({name}) => name);
  if (added.length === 0) return;
  const rows = [
    ...(inserted > 0 ? ['rows that came back have their default in it'] : []),
    ...(updated > 0 ? ['rows that were changed keep their value'] : []),
  ];
  if (rows.length === 0) return;
  notice(`the backup of ${pair.table.name} does not have the column ${added.join(', ')}: ${rows.join(', ')}`);
}
