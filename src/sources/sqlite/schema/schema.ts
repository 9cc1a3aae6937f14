import {createHash} from 'node:crypto';
import {BkpError} from '../../../errors/index.ts';
import type {DatabaseFacts, TableSchema} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {normalized} from '../engine/sql-text.ts';
import type {Table} from './table.ts';

/** What a {@link TableSchema} of this source holds: the database's own statements, which a restore runs unchanged. */
export type Definition = {
  table: string;
  indexes: readonly string[];
  triggers: readonly string[];
  /** Statements of the indexes that the backup leaves out on request; a restore reports them. */
  omittedIndexes?: readonly string[];
  /** AUTOINCREMENT's counter as text (it has 64 bits); null when the table has none or was never inserted into. */
  sequence: string | null;
  /**
   * All of the table's rows in sqlite_sequence, where they are not one integer: applications may write to that
   * table. Each is a storage class and the value, in hexadecimal for text and blobs: `integer:5`, `text:3961`,
   * `null:`.
   */
  sequenceRows?: readonly string[];
};

const sequenceRow = /^(?:null:|integer:-?\d+|real:[-+.\dA-Za-z]+|(?:text|blob):(?:[\da-f]{2})*)$/;

/** How SQLite stores the beginning of a table's statements; after an edit of the schema it can be different. */
const forms = {
  table: /^CREATE\s+TABLE\b/i,
  index: /^CREATE\s+(?:UNIQUE\s+)?INDEX\b/i,
  trigger: /^CREATE\s+TRIGGER\b/i,
};

/** @returns a statement that a restore would refuse */
export function oddStatement({
  sql,
  indexes,
  triggers,
}: Pick<Table, 'sql' | 'indexes' | 'triggers'>): string | undefined {
  if (!forms.table.test(sql)) return sql;
  const odd = [
    ...indexes.filter((index) => !forms.index.test(index.sql)),
    ...triggers.filter((trigger) => !forms.trigger.test(trigger.sql)),
  ];
  return odd[0]?.sql;
}

export function tableSchema(connection: Connection, table: Table, {omitIndexes}: {omitIndexes: boolean}): TableSchema {
  const indexes = table.indexes.map((index) => index.sql);
  const definition: Definition = {
    table: table.sql,
    indexes: omitIndexes ? [] : indexes,
    ...(omitIndexes && indexes.length > 0 ? {omittedIndexes: indexes} : {}),
    triggers: table.triggers.map((trigger) => trigger.sql),
    ...(table.autoincrement ? sequenceOf(connection, table.name) : {sequence: null}),
  };
  return {name: table.name, fingerprint: fingerprintOf(table), definition};
}

/**
 * Parses a manifest's definition: only these statements of a manifest ever run, one at a time.
 * @throws BkpError `OBJECT_DAMAGED`
 */
export function definitionOf(schema: TableSchema): Definition {
  const {
    table,
    indexes,
    omittedIndexes = [],
    triggers,
    sequence,
    sequenceRows = [],
  } = schema.definition as Partial<Definition>;
  const creates = (what: RegExp) => (sql: unknown) => typeof sql === 'string' && what.test(sql);
  if (
    creates(forms.table)(table) &&
    Array.isArray(indexes) &&
    indexes.every(creates(forms.index)) &&
    Array.isArray(omittedIndexes) &&
    omittedIndexes.every(creates(forms.index)) &&
    Array.isArray(triggers) &&
    triggers.every(creates(forms.trigger)) &&
    (sequence === null || /^-?\d+$/.test(String(sequence))) &&
    Array.isArray(sequenceRows) &&
    sequenceRows.every((row) => typeof row === 'string' && sequenceRow.test(row))
  ) {
    return {
      table: table as string,
      indexes,
      ...(omittedIndexes.length === 0 ? {} : {omittedIndexes}),
      triggers,
      sequence: sequence as string | null,
      ...(sequenceRows.length === 0 ? {} : {sequenceRows}),
    };
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

/** The table alone: with its constraints, without its own indexes and triggers. */
export function withoutIndexes(schema: TableSchema): TableSchema {
  return {...schema, definition: {...schema.definition, indexes: [], triggers: []}};
}

/** Changes with the CREATE TABLE statement, not with indexes and triggers, which do not affect how rows load. */
export function fingerprintOf(table: Table): string {
  return hashOf(table.sql);
}

/** Of a CREATE INDEX statement, see {@link Tree}. */
export function indexFingerprint(sql: string): string {
  return hashOf(sql);
}

const hashOf = (sql: string) => createHash('sha256').update(normalized(sql)).digest('hex').slice(0, 32);

function sequenceOf(connection: Connection, table: string): Pick<Definition, 'sequence' | 'sequenceRows'> {
  const rows = connection
    .all(
      `SELECT typeof(seq) AS type, CASE WHEN typeof(seq) IN ('text', 'blob') THEN lower(hex(CAST(seq AS BLOB)))
         WHEN typeof(seq) = 'null' THEN ''
          WHEN typeof(seq) = 'real' THEN format('%!.17g', seq) ELSE CAST(seq AS TEXT) END AS value
       FROM main.sqlite_sequence WHERE name = ? ORDER BY rowid`,
      table,
    )
    .map((row) => ({type: String(row.type), value: String(row.value)}));
  const sequence = rows.find(({type}) => type === 'integer')?.value ?? null;
  const plain = rows.length === 0 || (rows.length === 1 && sequence !== null);
  return {sequence, ...(plain ? {} : {sequenceRows: rows.map(({type, value}) => `${type}:${value}`)})};
}

/** Pragmas whose values a new file gets from the database that was backed up. */
const kept = ['page_size', 'encoding', 'auto_vacuum', 'journal_mode', 'application_id', 'user_version'] as const;
export type KeptFacts = {readonly [Name in (typeof kept)[number] | 'written_by']?: string};

/** @param writtenBy see {@link lastWriter}; bkp's own writes change it */
export function databaseFacts(connection: Connection, writtenBy: number | undefined): DatabaseFacts {
  return {
    ...Object.fromEntries(kept.map((name) => [name, String(connection.value(`PRAGMA main.${name}`))])),
    ...(writtenBy === undefined ? {} : {written_by: String(writtenBy)}),
  };
}

/** Settings that take effect only before a file's first table is created. */
export function fileSettings(facts: KeptFacts): string {
  const encoding = /^UTF-16(le|be)$/.test(facts.encoding ?? '') ? facts.encoding : 'UTF-8';
  return `
    PRAGMA main.encoding = '${encoding}';
    PRAGMA main.page_size = ${Number(facts.page_size ?? 4096)};
    PRAGMA main.auto_vacuum = ${Number(facts.auto_vacuum ?? 0)};`;
}
