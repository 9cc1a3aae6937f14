import {constants} from 'node:sqlite';
import {BkpError} from '../../../errors/index.ts';
import type {SchemaObject} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {schemaRows} from '../engine/schema-rows.ts';
import {editSchema, isText} from '../engine/schema-table.ts';
import {isOneStatement, virtualTable} from '../engine/sql-text.ts';

/**
 * Views and virtual tables. A restore runs their statements again. A virtual table stores its content in
 * ordinary tables whose names begin with its own (its shadow tables), which are copied like all others; so its
 * module is not used and may be missing.
 */

/** What the `definition` of a {@link SchemaObject} holds. */
export type ObjectDefinition = {kind: 'view' | 'virtual'; sql: string; triggers: readonly string[]};

/** Whether bkp's SQLite has the module; all others belong to the application. */
export function hasModule(connection: Connection, module: string): boolean {
  return connection.get('SELECT 1 FROM pragma_module_list WHERE name = ? COLLATE NOCASE', module) !== undefined;
}

/** In the order in which they were created. */
export function readObjects(connection: Connection): readonly SchemaObject[] {
  return allObjects(connection).filter((object) => isSound(connection, object));
}

/** Names of those whose statement, the result of an edit of the schema, a restore would refuse. */
export function oddObjects(connection: Connection): readonly string[] {
  return allObjects(connection).flatMap((object) => (isSound(connection, object) ? [] : [object.name]));
}

function isSound(connection: Connection, object: SchemaObject): boolean {
  const {sql, triggers} = object.definition as ObjectDefinition;
  return hasForm(object) && isText(connection, [sql, ...triggers]);
}

function allObjects(connection: Connection): readonly SchemaObject[] {
  return connection
    .all(`SELECT type, name, sql FROM main.sqlite_schema WHERE ${isObject} ORDER BY rowid`)
    .map((row) => {
      const name = String(row.name);
      const triggers = connection
        .all(
          `SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY rowid`,
          name,
        )
        .map((trigger) => String(trigger.sql));
      return {name, definition: {kind: row.type === 'view' ? 'view' : 'virtual', sql: String(row.sql), triggers}};
    });
}

const isObject = `type = 'view' OR (type = 'table' AND rootpage = 0)`;

export type VirtualTable = {
  name: string;
  module: string;
  /** bkp's SQLite has the module. */
  known: boolean;
  sql: string;
};

/** In the order in which they were created. @param shadow only those that a table of this name could belong to */
export function virtualTables(connection: Connection, shadow?: string): readonly VirtualTable[] {
  return schemaRows(connection)
    .virtual.filter(({name}) => shadow === undefined || foldName(shadow).startsWith(`${foldName(name)}_`))
    .map((row) => {
      const sql = String(row.sql);
      const module = virtualTable(sql)?.module ?? '';
      return {name: row.name, module, known: hasModule(connection, module), sql};
    });
}

/** @throws BkpError `OBJECT_DAMAGED` */
export function objectDefinitionOf({name, definition}: SchemaObject): ObjectDefinition {
  const object = {name, definition};
  if (hasForm(object)) return object.definition as ObjectDefinition;
  throw new BkpError('OBJECT_DAMAGED', `the schema of ${name} in the backup is not that of a view or a virtual table`, {
    next: 'find out who wrote this backup, and restore another one',
    context: {object: name},
  });
}

function hasForm({name, definition}: SchemaObject): boolean {
  const {kind, sql, triggers} = definition as Partial<ObjectDefinition>;
  return (
    typeof sql === 'string' &&
    (kind === 'view' ? /^CREATE VIEW\b/i : /^CREATE VIRTUAL TABLE\b/i).test(sql) &&
    (kind === 'view' || (kind === 'virtual' && foldName(virtualTable(sql)?.name ?? '') === foldName(name))) &&
    Array.isArray(triggers) &&
    triggers.every((trigger) => typeof trigger === 'string' && /^CREATE TRIGGER\b/i.test(trigger))
  );
}

/** Within a write transaction, or in a file that no other process has open. */
export function makeObject(connection: Connection, object: SchemaObject): void {
  const {kind, sql} = objectDefinitionOf(object);
  if (kind === 'view') runFromManifest(connection, {what: 'view', view: object.name}, sql);
  else makeVirtualTable(connection, object.name, sql);
}

/**
 * A virtual table is only its row in the schema; VACUUM copies it in this way too. CREATE VIRTUAL TABLE would
 * run the module, which creates its shadow tables and fails where they exist.
 */
function makeVirtualTable(connection: Connection, name: string, sql: string): void {
  requireStatementAlone(connection, name, sql);
  editSchema(connection, () =>
    connection.run(
      `INSERT INTO main.sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?1, 0, ?2)`,
      name,
      sql,
    ),
  );
}

/** SQLite's own parser checks it; nothing runs. */
function requireStatementAlone(connection: Connection, name: string, sql: string): void {
  let made: string | null = null;
  try {
    connection.prepareAuthorized(sql, (action, first) => {
      if (action === constants.SQLITE_CREATE_VTABLE) made = first;
      return constants.SQLITE_OK;
    });
  } catch (error) {
    if (resultCode(error) !== ResultCode.error) throw error;
  }
  if (made === name && isOneStatement(sql)) return;
  throw new BkpError('OBJECT_DAMAGED', `the backup's statement for the virtual table ${name} does something else`, {
    next: 'find out who wrote this backup, and restore another one',
    context: {object: name},
  });
}

export function dropView(connection: Connection, name: string): void {
  connection.exec(`DROP VIEW main.${quoteName(name)}`);
}
