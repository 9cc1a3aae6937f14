import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import type {MergedTable, MergeMode} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {reachOfTrigger} from '../schema/reach.ts';
import {loadedNames, type Table} from '../schema/table.ts';
import {requireFit, underAnotherName} from './fit.ts';
import {hasKey, keyText, living, livingTable, nullInKey, sameKey, sameValues, stored, storedTable} from './match.ts';

const mostNamed = 10;

/** @throws BkpError `TABLE_NOT_FOUND` | `PRECONDITION` | `UNSUPPORTED` | `BAD_REQUEST` */
export function requireLiving(connection: Connection, tables: readonly Table[], mode: MergeMode): Table[] {
  return tables.map((before) => {
    const found = findTable(connection, before.name);
    if (found.kind !== 'table') {
      throw new BkpError('TABLE_NOT_FOUND', `there is no table ${before.name} to bring rows into`, {
        cause: found.kind === 'unsupported' ? found.reason : undefined,
        next: 'restore it without MODE, which creates it',
        context: {table: before.name},
      });
    }
    requireFit(found.table, before, mode);
    return found.table;
  });
}

/** @throws BkpError `PRECONDITION` if a row cannot be found by its key */
export function requireKeys(connection: Connection, table: Table): void {
  for (const [side, name] of [
    [living, livingTable(table)],
    [stored, storedTable(table)],
  ] as const) {
    const condition = nullInKey(table, side);
    if (condition === undefined) continue;
    const rows = connection.number(`SELECT count(*) FROM ${name} AS ${side} WHERE ${condition}`);
    if (rows === 0) continue;
    const where = side === living ? 'the table' : 'the backup';
    throw new BkpError(
      'PRECONDITION',
      `${formatCount(rows, 'row')} of ${table.name} with NULL in the primary key: in ${where}`,
      {
        cause: 'such rows are equal to no other row, so nothing says which of them belong together',
        next: "MODE='replace' brings all rows of the backup, and removes all others",
        context: {table: table.name},
      },
    );
  }
}

const isStored = (table: Table) =>
  `EXISTS (SELECT 1 FROM ${storedTable(table)} AS ${stored} WHERE ${sameKey(table, '=')})`;
const isLiving = (table: Table) =>
  `EXISTS (SELECT 1 FROM ${livingTable(table)} AS ${living} WHERE ${sameKey(table, '=')})`;
const isChanged = (table: Table) =>
  `EXISTS (SELECT 1 FROM ${storedTable(table)} AS ${stored}
     WHERE ${sameKey(table, '=')} AND NOT (${sameValues(table)}))`;

/** What a merge would do now. */
export function countMerge(connection: Connection, table: Table, mode: MergeMode): MergedTable {
  const {name} = table;
  const count = (of: string, condition = '1') => connection.number(`SELECT count(*) FROM ${of} WHERE ${condition}`);
  const here = `${livingTable(table)} AS ${living}`;
  const there = `${storedTable(table)} AS ${stored}`;
  if (!hasKey(table)) return {name, inserted: count(there), updated: 0, deleted: count(here), kept: 0};
  const only = count(here, `NOT ${isStored(table)}`);
  return {
    name,
    inserted: count(there, `NOT ${isLiving(table)}`),
    updated: count(here, isChanged(table)),
    deleted: mode === 'replace' ? only : 0,
    kept: mode === 'merge' ? only : 0,
  };
}

/** Keys of some rows that {@link countMerge} counts, for a table with a key. */
export function exampleKeys(connection: Connection, table: Table, count: number): MergedTable['examples'] {
  if (!hasKey(table) || count === 0) return undefined;
  const keys = (of: string, side: typeof living | typeof stored, condition: string) =>
    connection
      .all(`SELECT ${keyText(table, side)} AS key FROM ${of} AS ${side} WHERE ${condition} LIMIT ${count}`)
      .map(({key}) => String(key));
  return {
    inserted: keys(storedTable(table), stored, `NOT ${isLiving(table)}`),
    updated: keys(livingTable(table), living, isChanged(table)),
    deleted: keys(livingTable(table), living, `NOT ${isStored(table)}`),
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
  table: Table,
  {mode, notice}: {mode: MergeMode; notice: (text: string) => void},
): MergedTable {
  const counts = countMerge(connection, table, mode);
  const {inserted, updated, deleted} = counts;
  if (inserted + updated + deleted === 0) return counts;
  const silent = silenceTriggers(connection, table);
  const from = `DELETE FROM ${livingTable(table)}`;
  if (!hasKey(table)) connection.run(from);
  else {
    if (mode === 'replace') connection.run(`${from} AS ${living} WHERE NOT ${isStored(table)}`);
    connection.run(`${from} AS ${living} WHERE ${isChanged(table)}`);
  }
  insertMissing(connection, table);
  requireEqual(connection, table, mode);
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

function insertMissing(connection: Connection, table: Table): void {
  const {columns, rowid} = loadedNames(table, {generated: false});
  const names = [...rowid, ...columns].join(', ');
  const insert = (how: string) =>
    `INSERT OR ${how} INTO ${livingTable(table)} (${names})
     SELECT ${names} FROM ${storedTable(table)} AS ${stored}${hasKey(table) ? ` WHERE NOT ${isLiving(table)}` : ''}`;
  try {
    connection.run(insert('ABORT'));
  } catch (error) {
    if (resultCode(error) !== ResultCode.constraint && !isConstraint(error)) throw error;
    connection.run(insert('IGNORE'));
    throw refusedRows(connection, table, error as Error);
  }
}

const isConstraint = (error: unknown) => resultCode((error as Error).cause) === ResultCode.constraint;

/** Rows of the backup that the rows that stay, or the table's own constraints, do not admit. */
function refusedRows(connection: Connection, table: Table, {message}: Error): BkpError {
  const refused = `FROM ${storedTable(table)} AS ${stored} WHERE NOT ${isLiving(table)}`;
  const rows = connection
    .all(`SELECT ${keyText(table, stored)} AS key ${refused} LIMIT ${mostNamed}`)
    .map(({key}) => String(key));
  const number = connection.number(`SELECT count(*) ${refused}`);
  return new BkpError(
    'PRECONDITION',
    `${formatCount(number, 'row')} of ${table.name} cannot come back; nothing was changed`,
    {
      cause: message,
      details: rows.map((key) => `the row with ${key}`),
      next: `change or delete rows that have the same unique values, and try again; or ${underAnotherName(table)}`,
      context: {table: table.name},
    },
  );
}

/** SQLite may convert a value that an older schema stored: then the row would not be the one of the backup. */
function requireEqual(connection: Connection, table: Table, mode: MergeMode): void {
  const operator = hasKey(table) ? 'IS' : '=';
  const same = `EXISTS (SELECT 1 FROM ${livingTable(table)} AS ${living}
    WHERE ${sameKey(table, operator)} AND ${sameValues(table)})`;
  const different = connection.all(
    `SELECT ${keyText(table, stored)} AS key FROM ${storedTable(table)} AS ${stored} WHERE NOT ${same}
     LIMIT ${mostNamed}`,
  );
  const rows = (of: string) => connection.number(`SELECT count(*) FROM ${of}`);
  const isComplete = mode === 'merge' || rows(livingTable(table)) === rows(storedTable(table));
  if (different.length === 0 && isComplete) return;
  throw new BkpError('PRECONDITION', `rows of ${table.name} would come back changed; nothing was changed`, {
    cause: 'SQLite converts their values to the types of the columns, as it did not when they were written',
    details: different.map(({key}) => `the row with ${key}`),
    next: underAnotherName(table),
    context: {table: table.name},
  });
}
