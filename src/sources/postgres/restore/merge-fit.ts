import {BkpError} from '../../../errors/index.ts';
import type {MergeMode} from '../../source.ts';
import {allColumnsOf, type Column, columnsOf, type KeyColumn, rowTypeOf} from '../catalog/columns.ts';
import {findRelation, onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified} from '../connection/quote.ts';
import type {StoredTable} from './stored.ts';

/** A living table, and the rows of the backup that were staged for it. */
export type MergedPair = {
  name: string;
  oid: number;
  stagedOid: number;
  /** What stands behind FROM. */
  living: string;
  staged: string;
  /** Of the living table; empty: it has no primary key. */
  key: readonly KeyColumn[];
  /** Those that both have, the key first; without those that the living table computes. */
  columns: readonly Column[];
  /** Those that the living table computes, and of which the backup has values. */
  computed: readonly Column[];
  /** Names of columns that only the living table has. */
  added: readonly string[];
  /** Names of those that take no value from an UPDATE: `GENERATED ALWAYS AS IDENTITY`. */
  fixed: readonly string[];
};

/**
 * Decides whether rows of the backup fit into the living table: it must have the key and all columns of the backup,
 * with the same types. It may have more columns, which keep their values.
 * @param staged the table with the rows of the backup, and its qualified name
 * @param neededBy names of tables that may have values of its row type
 * @throws BkpError `TABLE_NOT_FOUND` | `UNSUPPORTED` | `PRECONDITION` naming each difference
 */
export async function fitOf(
  connection: Connection,
  stored: StoredTable,
  {staged, mode, neededBy}: {staged: {oid: number; name: string}; mode: MergeMode; neededBy: readonly string[]},
): Promise<MergedPair> {
  const {name} = stored;
  const relation = await findRelation(connection, name);
  if (relation === undefined) {
    throw new BkpError('TABLE_NOT_FOUND', `table ${name} does not exist any more`, {
      next: 'without MODE a restore creates it',
      context: {table: name},
    });
  }
  const [now, then] = [await columnsOf(connection, relation.oid), await columnsOf(connection, staged.oid)];
  const {columns: living, computed: isComputed} = await allColumnsOf(connection, relation.oid);
  if (mode === 'merge' && (now.key.length === 0 || then.key.length === 0)) throw withoutKey(name);
  const typeNow = new Map(living.map((column) => [column.name, column.type]));
  const differences = then.columns.flatMap((column) => {
    const type = typeNow.get(column.name);
    if (type === undefined) return [`column ${column.name} ${column.type} is in the backup only`];
    return type === column.type ? [] : [`column ${column.name} ${type} was ${column.type} in the backup`];
  });
  const [keyNow, keyThen] = [now.key, then.key].map((key) => key.map((column) => column.name).join(', ') || 'none');
  if (keyNow !== keyThen) differences.push(`its primary key is ${keyNow}, and was ${keyThen} in the backup`);
  // A value of a row type has no names: it would be read as one with the columns of today.
  if (neededBy.length > 0) {
    const typesOf = `SELECT ${rowTypeOf('$1')}, ${rowTypeOf('$2')}`;
    const [[is, was] = []] = await connection.rows(typesOf, [relation.oid, staged.oid]);
    const whose = `${neededBy.join(', ')} may have values of its row type`;
    if (is !== was) differences.push(`its columns are ${is}, and were ${was} in the backup: ${whose}`);
  }
  if (differences.length > 0) {
    throw new BkpError('PRECONDITION', `rows of the backup do not fit into ${name}: its schema changed since then`, {
      details: differences,
      next: `restore it under another name (TABLE … AS …), and copy what you need`,
      context: {table: name},
    });
  }
  const fixed = await connection.rows(
    "SELECT attname FROM pg_attribute WHERE attrelid = $1 AND attidentity = 'a' AND NOT attisdropped",
    [relation.oid],
  );
  const stores = new Set(then.columns.map((column) => column.name));
  return {
    name,
    oid: relation.oid,
    stagedOid: staged.oid,
    living: onlyOf(relation.kind) + qualified(relation.schema, relation.table),
    staged: onlyOf(stored.kind) + staged.name,
    key: now.key,
    columns: then.columns.filter((column) => !isComputed.has(column.name)),
    computed: then.columns.filter((column) => isComputed.has(column.name)),
    fixed: fixed.map(([column]) => column!).filter((column) => stores.has(column)),
    added: now.columns.filter((column) => !stores.has(column.name)).map((column) => column.name),
  };
}

export function withoutKey(name: string): BkpError {
  return new BkpError('UNSUPPORTED', `table ${name} has no primary key, so its rows cannot be merged`, {
    cause: 'nothing says which row of the backup is which row of the table',
    next: "MODE='replace' brings all rows of the backup, and removes all others",
    context: {table: name},
  });
}
