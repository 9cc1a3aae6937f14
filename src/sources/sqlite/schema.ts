import {createHash} from 'node:crypto';
import type {DatabaseFacts, TableSchema} from '../source.ts';
import type {Connection} from './connection.ts';
import {normalized} from './sql-text.ts';
import type {Table} from './table.ts';

/** What a {@link TableSchema} of this source holds: the database's own statements, to be run again as they are. */
export type Definition = {
  table: string;
  indexes: readonly string[];
  triggers: readonly string[];
  /** AUTOINCREMENT's counter as text (it has 64 bits); null when the table has none or it has not begun. */
  sequence: string | null;
};

export function tableSchema(connection: Connection, table: Table, {omitIndexes}: {omitIndexes: boolean}): TableSchema {
  const definition: Definition = {
    table: table.sql,
    indexes: omitIndexes ? [] : table.indexes.map((index) => index.sql),
    triggers: table.triggers.map((trigger) => trigger.sql),
    sequence: table.autoincrement ? sequenceOf(connection, table.name) : null,
  };
  return {name: table.name, fingerprint: fingerprintOf(table), definition};
}

export function definitionOf(schema: TableSchema): Definition {
  return schema.definition as unknown as Definition;
}

/** Changes with the CREATE TABLE statement; an index or a trigger more or less loads the same rows. */
export function fingerprintOf(table: Table): string {
  return createHash('sha256').update(normalized(table.sql)).digest('hex').slice(0, 32);
}

function sequenceOf(connection: Connection, table: string): string | null {
  const value = connection.value('SELECT seq FROM main.sqlite_sequence WHERE name = ?', table);
  return value === undefined || value === null ? null : String(value);
}

/** Pragmas that a new file takes over from the database that was backed up. */
const kept = ['page_size', 'encoding', 'auto_vacuum', 'journal_mode', 'application_id', 'user_version'] as const;
export type KeptFacts = {readonly [Name in (typeof kept)[number]]?: string};

export function databaseFacts(connection: Connection): DatabaseFacts {
  return Object.fromEntries(kept.map((name) => [name, String(connection.value(`PRAGMA main.${name}`))]));
}
