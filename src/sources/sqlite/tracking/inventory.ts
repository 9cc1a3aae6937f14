import type {TableName} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {logName, rowName, trackedBy} from '../triggers/names.ts';
import {hasTable, marks} from './own-tables.ts';

type OwnTrigger = {
  name: string;
  /** The table that it is on, which may have been renamed since. */
  on: string;
  sql: string;
};

/** Which parts of the tracking of one table exist; the table itself may have been dropped. */
export type Tracked = {name: TableName; log: boolean; row: boolean; triggers: readonly OwnTrigger[]};

/** Every table after which a table or trigger of bkp is named. */
export function trackedTables(connection: Connection): readonly Tracked[] {
  const found = new Map<string, Tracked & {triggers: OwnTrigger[]}>();
  const entry = (name: string) => {
    const tracked = found.get(foldName(name)) ?? {name, log: false, row: false, triggers: []};
    found.set(foldName(name), tracked);
    return tracked;
  };
  for (const row of connection.all(`SELECT type, name, tbl_name, sql FROM main.sqlite_schema`)) {
    const name = String(row.name);
    const after = (prefix: string) => (foldName(name).startsWith(prefix) ? name.slice(prefix.length) : '');
    if (row.type === 'trigger') {
      const table = trackedBy(name);
      if (table !== undefined) entry(table).triggers.push({name, on: String(row.tbl_name), sql: String(row.sql)});
    } else if (row.type === 'table') {
      if (after(logName('')) !== '') entry(after(logName(''))).log = true;
      if (after(rowName('')) !== '') entry(after(rowName(''))).row = true;
    }
  }
  return [...found.values()];
}

/**
 * Removes triggers, log and every mark of the table; within a write transaction. Triggers are found by their
 * names, because they move along when their table is renamed.
 */
export function removeTracking(connection: Connection, name: TableName): void {
  for (const row of connection.all(`SELECT name FROM main.sqlite_schema WHERE type = 'trigger'`)) {
    const table = trackedBy(String(row.name));
    if (table !== undefined && foldName(table) === foldName(name))
      connection.exec(`DROP TRIGGER main.${quoteName(String(row.name))}`);
  }
  connection.exec(
    `DROP TABLE IF EXISTS main.${quoteName(rowName(name))}; DROP TABLE IF EXISTS main.${quoteName(logName(name))}`,
  );
  if (hasTable(connection, marks)) connection.run(`DELETE FROM main.${marks} WHERE name = ? COLLATE NOCASE`, name);
}
