import {BkpError} from '../../../errors/index.ts';
import type {StoredBase, TableSchema, Tree} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {quoteName} from '../engine/quote.ts';
import {objectName} from '../engine/sql-text.ts';
import {definitionOf, indexFingerprint} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {constraintIndexes, isPlainIndex} from './build-index.ts';
import type {Landing} from './landing.ts';

/**
 * Up to this part of a table's rows, SQLite maintains the laid indexes while the changed rows are deleted and inserted:
 * about 13 µs for a row with two indexes. Sorting all entries again costs about 0.5 µs each.
 */
const mostFollowed = 0.05;

/** The trees of a base that are laid out, the table's own first. All of them exist, empty. */
export type TreePlan = {trees: readonly Tree[]; indexes: ReadonlySet<string>};

/**
 * Decides which trees of a table's base are laid out, and creates the indexes among them.
 *
 * An index is laid out if the base was made with the same statement: within a chain it can be dropped and created
 * again. If the table has deltas, it must also be one that the landing can follow, and they must be few.
 * @param landing of a table with deltas
 * @throws BkpError `OBJECT_DAMAGED` if the base has other trees than a table with this schema
 */
export function planTrees(
  connection: Connection,
  {table, schema, base, landing}: {table: Table; schema: TableSchema; base: StoredBase; landing: Landing | undefined},
): TreePlan {
  const [own, ...others] = base.trees;
  const kind = table.withoutRowid ? 'key' : 'rowid';
  if (own?.name !== schema.name || own.kind !== kind) throw damaged(schema, own?.name ?? 'nothing');
  const constraints = constraintIndexes(connection, table);
  const statements = new Map(definitionOf(schema).indexes.map((sql) => [objectName(sql), sql]));
  const isSmall = base.changedKeys <= mostFollowed * own.records;
  const indexes = others.filter((tree) => {
    if (tree.kind !== 'key') throw damaged(schema, tree.name);
    if (tree.fingerprint === undefined) {
      if (!constraints.includes(tree.name)) throw damaged(schema, tree.name);
      return landing === undefined || (isSmall && !isKey(connection, table, tree) && landing.follow(tree.name));
    }
    const sql = statements.get(tree.name);
    if (sql === undefined || indexFingerprint(sql) !== tree.fingerprint) return false;
    if (landing !== undefined && !(isSmall && isPlainIndex(table, sql))) return false;
    runFromManifest(connection, {what: 'index', table: table.name}, sql);
    if (landing === undefined || landing.follow(tree.name)) return true;
    connection.exec(`DROP INDEX main.${quoteName(tree.name)}`);
    return false;
  });
  return {trees: [own, ...indexes], indexes: new Set(indexes.map(({name}) => name))};
}

/**
 * The landing deletes the rows that this index leads to. Nothing has compared its entries with the rows, and a wrong
 * one would delete another row: so it is always built from the rows.
 */
function isKey(connection: Connection, {name}: Table, tree: Tree): boolean {
  const index = connection.value(`SELECT name FROM pragma_index_list(?, 'main') WHERE origin = 'pk'`, name);
  return index === tree.name;
}

function damaged({name}: TableSchema, tree: string): BkpError {
  return new BkpError(
    'OBJECT_DAMAGED',
    `the backup's records of ${tree} do not belong to the schema of table ${name}`,
    {
      next: 'restore another backup, and report this',
      context: {table: name},
    },
  );
}
