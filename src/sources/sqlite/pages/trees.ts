import type {Tree} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName} from '../engine/quote.ts';
import {schemaRows} from '../engine/schema-rows.ts';
import {wordsIn} from '../engine/sql-text.ts';
import {indexFingerprint} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import type {Collation, KeyColumn} from './key-order.ts';

/** A tree of a table in its file. */
export type TableTree = Tree & {
  root: number;
  /** Whether it has a record for each row of the table; false for a partial index. */
  isComplete: boolean;
  /** An index; false for the table's own tree. */
  isIndex: boolean;
  /** The key of a table without rowid, in whose order its rows must be; absent if bkp cannot compare its values. */
  key?: readonly KeyColumn[] | undefined;
};

/**
 * The trees of a table: its own, then its indexes in the order of sqlite_schema, which is that of a restore.
 * @param omitIndexes leaves out the indexes that have a statement of their own; those of constraints stay
 */
export function treesOf(connection: Connection, table: Table, {omitIndexes}: {omitIndexes: boolean}): TableTree[] {
  const partial = new Set(
    connection
      .all(`SELECT name FROM pragma_index_list(?, 'main') WHERE partial = 1`, table.name)
      .map(({name}) => String(name)),
  );
  const rows = schemaRows(connection).of(table.name);
  const entries = ['table', 'index'].flatMap((wanted) => rows.filter(({type}) => type === wanted));
  return entries
    .filter(({type, sql}) => type === 'table' || sql === null || !omitIndexes)
    .map(({type, name, root, sql}) => ({
      name,
      kind: type === 'table' && !table.withoutRowid ? 'rowid' : 'key',
      fingerprint: type === 'index' && typeof sql === 'string' ? indexFingerprint(sql) : undefined,
      root,
      isComplete: !partial.has(name),
      isIndex: type === 'index',
      key: type === 'table' && table.withoutRowid ? keyOf(connection, table) : undefined,
    }));
}

function keyOf(connection: Connection, {name}: Table): readonly KeyColumn[] | undefined {
  const columns = connection.all(
    `SELECT x.desc, x.coll FROM pragma_index_list(?, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS x
     WHERE l.origin = 'pk' AND x.key = 1 ORDER BY x.seqno`,
    name,
  );
  const isUtf8 = connection.get('PRAGMA encoding')!.encoding === 'UTF-8';
  const key = columns.map(({desc, coll}) => ({descends: Number(desc) === 1, collation: String(coll).toUpperCase()}));
  const isKnown = ({collation}: {collation: string}) =>
    collation === 'BINARY' || (isUtf8 && (collation === 'NOCASE' || collation === 'RTRIM'));
  return key.every(isKnown) ? (key as {descends: boolean; collation: Collation}[]) : undefined;
}

/**
 * Why the records of a table's trees would be wrong in a new file; undefined when they would not.
 * @param schemaFormat of the file's header (https://www.sqlite.org/fileformat2.html#schema_format_number): before 4
 *   SQLite ignores DESC, and a new file has 4
 */
export function recordsObstacle(table: Table, schemaFormat: number): string | undefined {
  if (schemaFormat >= 4) return undefined;
  const descends = [table.sql, ...table.indexes.map(({sql}) => sql)].some((sql) => wordsIn(sql).has(foldName('DESC')));
  if (!descends) return undefined;
  return `the file has schema format ${schemaFormat}, in which an index with DESC is in ascending order`;
}
