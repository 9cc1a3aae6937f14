import type {TableName} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {logName, rowName} from '../triggers/names.ts';
import {hasOwnTable} from '../triggers/own-objects.ts';
import {dropUnusedMarks} from './drop-marks.ts';
import {isIdentityKept} from './identity.ts';
import {removeTracking, type Tracked, trackedTables} from './inventory.ts';
import {files, marks, meta} from './own-tables.ts';
import {trackingFault} from './tracking.ts';

/** Tracking that does not work: the next increment takes all rows, and its triggers can make writes fail. */
export type BrokenTracking = {table: TableName; detail: string};

/**
 * Checks each kind of object on its own, because any of them may have been removed. (Schema tools drop tables
 * that they do not know, and dropping a log does not drop the triggers that write to it.)
 */
export function brokenTracking(connection: Connection): readonly BrokenTracking[] {
  const broken: BrokenTracking[] = [];
  for (const tracked of trackedTables(connection)) {
    const detail = whatIsBroken(connection, tracked);
    if (detail !== undefined) broken.push({table: tracked.name, detail});
  }
  if (broken.length > 0 || hasOwnTable(connection, marks)) return broken;
  for (const table of isIdentityKept(connection) ? [files] : [meta, files]) {
    if (hasOwnTable(connection, table)) broken.push({table, detail: `table ${table} is left, and nothing is tracked`});
  }
  return broken;
}

function whatIsBroken(connection: Connection, {name, log, row, triggers}: Tracked): string | undefined {
  const missing = [
    ...(log ? [] : [logName(name)]),
    ...(row || !triggers.some(({sql}) => sql.includes(quoteName(rowName(name)))) ? [] : [rowName(name)]),
  ];
  const names = triggers.map((trigger) => trigger.name).join(', ');
  if (missing.length > 0 && triggers.length > 0) {
    const on = [...new Set(triggers.map((trigger) => trigger.on))].join(', ');
    return `writes to table ${on} fail: ${missing.join(' and ')} is gone, and the triggers ${names} write to it`;
  }
  const astray = triggers.find(
    ({on, sql}) => foldName(on) !== foldName(name) && sql.includes(`FROM ${quoteName(name)}`),
  );
  if (astray !== undefined) {
    const renamed = `it was ${name} until a rename with legacy_alter_table`;
    return `writes to table ${astray.on} fail: ${renamed}, and the triggers ${names} still read ${name}`;
  }
  if (!log) return `table ${rowName(name)} is left without log and triggers`;
  if (triggers.length === 0) return `table ${logName(name)} is left, and no trigger writes to it`;
  const marked =
    hasOwnTable(connection, marks) &&
    connection.value(`SELECT 1 FROM main.${marks} WHERE name = ? COLLATE NOCASE`, name) !== undefined;
  if (!marked) return `changes of table ${name} are logged, and no backup is known that needs them`;
  const found = findTable(connection, name);
  const fault = found.kind === 'table' ? trackingFault(connection, found.table) : undefined;
  return fault === undefined ? undefined : `the next increment takes all rows of table ${name}: ${fault}`;
}

/** Removes what {@link brokenTracking} finds; within a write transaction. The next backup tracks again. */
export function removeBrokenTracking(connection: Connection): void {
  removeTracking(
    connection,
    brokenTracking(connection).map(({table}) => table),
  );
  dropUnusedMarks(connection);
}
