import {createHash} from 'node:crypto';
import {BkpError} from '../../errors/index.ts';
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

/**
 * From a manifest: these statements are the only ones that are ever run from it, one each.
 * @throws BkpError `OBJECT_DAMAGED`
 */
export function definitionOf(schema: TableSchema): Definition {
  const {table, indexes, triggers, sequence} = schema.definition as Partial<Definition>;
  const creates = (what: RegExp) => (sql: unknown) => typeof sql === 'string' && what.test(sql);
  if (
    creates(/^CREATE TABLE\b/i)(table) &&
    Array.isArray(indexes) &&
    indexes.every(creates(/^CREATE (UNIQUE )?INDEX\b/i)) &&
    Array.isArray(triggers) &&
    triggers.every(creates(/^CREATE TRIGGER\b/i)) &&
    (sequence === null || /^-?\d+$/.test(String(sequence)))
  ) {
    return {table: table as string, indexes, triggers, sequence: sequence as string | null};
  }
  throw new BkpError(
    'OBJECT_DAMAGED',
    `the schema of table ${schema.name} in the backup is not that of an SQLite table`,
    {
      next: 'restore it into a database of the kind that it was taken from',
      context: {table: schema.name},
    },
  );
}

/** Changes with the CREATE TABLE statement; an index or a trigger more or less loads the same rows. */
export function fingerprintOf(table: Table): string {
  return createHash('sha256').update(normalized(table.sql)).digest('hex').slice(0, 32);
}

function sequenceOf(connection: Connection, table: string): string | null {
  const value = connection.value(
    `SELECT seq FROM main.sqlite_sequence WHERE name = ? AND typeof(seq) = 'integer'`,
    table,
  );
  return value === undefined || value === null ? null : String(value);
}

/** Pragmas that a new file takes over from the database that was backed up. */
const kept = ['page_size', 'encoding', 'auto_vacuum', 'journal_mode', 'application_id', 'user_version'] as const;
export type KeptFacts = {readonly [Name in (typeof kept)[number]]?: string};

export function databaseFacts(connection: Connection): DatabaseFacts {
  return Object.fromEntries(kept.map((name) => [name, String(connection.value(`PRAGMA main.${name}`))]));
}

/** What a file takes only before its first table is made. */
export function fileSettings(facts: KeptFacts): string {
  const encoding = /^UTF-16(le|be)$/.test(facts.encoding ?? '') ? facts.encoding : 'UTF-8';
  return `
    PRAGMA main.encoding = '${encoding}';
    PRAGMA main.page_size = ${Number(facts.page_size ?? 4096)};
    PRAGMA main.auto_vacuum = ${Number(facts.auto_vacuum ?? 0)};`;
}
