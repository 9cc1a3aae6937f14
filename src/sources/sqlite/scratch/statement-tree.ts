import type {TableSchema} from '../../source.ts';
import {withConnection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {objectName} from '../engine/sql-text.ts';
import {isPlainIndex} from '../restore/build-index.ts';
import {definitionOf, indexFingerprint} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {indexTree, type KeyTree} from './key-segments.ts';

/**
 * The columns of an index with a CREATE INDEX statement, which the scratch file does not have.
 * @param index.fingerprint of the statement by which the entries were made: within a chain it can have changed
 * @returns undefined if not every row has an entry, made of nothing but its columns
 */
export function statementTree(
  {table, schema}: {table: Table; schema: TableSchema},
  {name, fingerprint}: {name: string; fingerprint: string},
): KeyTree | undefined {
  const sql = definitionOf(schema).indexes.find((statement) => objectName(statement) === name);
  if (sql === undefined || indexFingerprint(sql) !== fingerprint || !isPlainIndex(table, sql)) return undefined;
  try {
    return withConnection('', {memory: true}, (connection) => {
      runFromManifest(connection, {what: 'table', table: table.name}, table.sql);
      runFromManifest(connection, {what: 'index', table: table.name}, sql);
      return indexTree(connection, name);
    });
  } catch {
    // An index by a collation of the application, for example: the rows can be read without it.
    return undefined;
  }
}
