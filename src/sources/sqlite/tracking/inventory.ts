import type {TableName} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {withSchemaInMemory} from '../engine/schema-in-memory.ts';
import {schemaRows} from '../engine/schema-rows.ts';
import {logName, rowName} from '../triggers/names.ts';
import {hasOwnTable, isOwnTable, trackedBy} from '../triggers/own-objects.ts';
import {marks} from './own-tables.ts';

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
  for (const row of schemaRows(connection).all) {
    const {name} = row;
    const after = (prefix: string) => (foldName(name).startsWith(prefix) ? name.slice(prefix.length) : undefined);
    const table = row.type === 'trigger' ? trackedBy(connection, row) : undefined;
    if (table !== undefined) entry(table).triggers.push({name, on: row.table, sql: String(row.sql)});
    if (isOwnTable(connection, row)) {
      const [logged, held] = [after(logName('')), after(rowName(''))];
      if (logged !== undefined) entry(logged).log = true;
      if (held !== undefined) entry(held).row = true;
    }
  }
  return [...found.values()];
}

/**
 * Removes triggers, logs and every mark of the tables; within a write transaction. Triggers are found by their
 * names, because they move along when their table is renamed.
 */
export function removeTracking(connection: Connection, names: readonly TableName[]): void {
  const wanted = new Set(names.map(foldName));
  const found = trackedTables(connection).filter(({name}) => wanted.has(foldName(name)));
  const isMarked = hasOwnTable(connection, marks);
  if (found.length > 0) withSchemaInMemory(connection, () => drop(connection, found));
  if (!isMarked) return;
  for (const {name} of connection.all(`SELECT DISTINCT name FROM main.${marks}`)) {
    if (wanted.has(foldName(String(name)))) connection.run(`DELETE FROM main.${marks} WHERE name = ?`, name!);
  }
}

function drop(connection: Connection, found: readonly Tracked[]): void {
  for (const {name, log, row, triggers} of found) {
    for (const trigger of triggers) connection.exec(`DROP TRIGGER IF EXISTS main.${quoteName(trigger.name)}`);
    if (row) connection.exec(`DROP TABLE IF EXISTS main.${quoteName(rowName(name))}`);
    if (log) connection.exec(`DROP TABLE IF EXISTS main.${quoteName(logName(name))}`);
  }
}
