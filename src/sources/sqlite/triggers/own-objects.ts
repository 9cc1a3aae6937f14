import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../engine/connection.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {type SchemaRow, schemaRows} from '../engine/schema-rows.ts';
import {logName, rowName, tableInTriggerName} from './names.ts';

/**
 * What bkp has created in a database is found by its name and by its form: a user's table may be called
 * `_bkp_log_visits`, and bkp never changes or drops it.
 */

/** How each kind of table is written in sqlite_schema, and which columns show it after an edit by a tool. */
const forms = [
  {named: /^_bkp_meta$/i, written: '(name TEXT PRIMARY KEY, value TEXT NOT NULL)', columns: ['name', 'value']},
  {
    named: /^_bkp_marks$/i,
    written: '(owner TEXT, mark TEXT, name TEXT, seq INTEGER NOT NULL,',
    columns: ['owner', 'mark', 'name', 'seq'],
  },
  {
    named: /^_bkp_files$/i,
    written: '(owner TEXT, mark TEXT, row INTEGER NOT NULL,',
    columns: ['owner', 'mark', 'row', 'inode', 'born'],
  },
  {named: new RegExp(`^${logName('')}`, 'i'), written: '(seq INTEGER PRIMARY KEY, k0', columns: ['seq', 'k0']},
  {named: new RegExp(`^${rowName('')}`, 'i'), written: `${ownPrefix})`, columns: [ownPrefix]},
];

export function isOwnTable(connection: Connection, {type, name, sql}: SchemaRow): boolean {
  const form = type === 'table' ? forms.find(({named}) => named.test(name)) : undefined;
  if (form === undefined) return false;
  if (sql?.includes(form.written)) return true;
  const columns = connection.all('SELECT name FROM pragma_table_info(?)', name).map((row) => row.name);
  return form.columns.every((column) => columns.includes(column));
}

/**
 * A user's trigger may have a name of bkp's. Those of bkp write to a log; one that does not was changed, if its table
 * has a log.
 * @returns the table that this trigger of bkp, or of an older bkp, tracks or tracked under that name
 */
export function trackedBy(connection: Connection, {name, sql}: {name: string; sql: string | null}): string | undefined {
  const table = tableInTriggerName(name);
  if (table === undefined) return undefined;
  return sql?.toLowerCase().includes(logName('')) || hasOwnTable(connection, logName(table)) ? table : undefined;
}

export function hasOwnTable(connection: Connection, name: string): boolean {
  return schemaRows(connection)
    .named('table', name)
    .some((row) => isOwnTable(connection, row));
}

/**
 * To be called before bkp creates a table or a trigger of that name, when its own are gone.
 * @throws BkpError `PRECONDITION` if something of the user has the name
 */
export function requireFreeName(connection: Connection, kind: 'table' | 'trigger', name: string): void {
  const types = kind === 'trigger' ? ['trigger'] : ['table', 'view', 'index'];
  const taken = types.flatMap((type) => schemaRows(connection).named(type, name))[0];
  if (taken === undefined) return;
  throw new BkpError('PRECONDITION', `${taken.type} ${taken.name} has a name that bkp needs to track changes`, {
    cause: `bkp did not create it, and leaves it as it is`,
    next: `rename it: names that begin with ${ownPrefix} are bkp's own`,
  });
}
