import {assert} from '../../../errors/index.ts';
import type {TableName, TableSchema} from '../../source.ts';
import {requireTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {objectName} from '../engine/sql-text.ts';
import {definitionOf} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {constraintIndexes, isPlainIndex} from './build-index.ts';
import {Landing} from './landing.ts';

/** The database; a staging file closes its connection and opens another. */
type Place = {readonly connection: Connection};

/** A table of the staging file whose trees are those of a landing for now. */
export type StagedLanding = {landing: Landing; id: number; indexes: readonly string[]};

/**
 * Puts the trees of tables that SQLite would not transfer into landings, which have no generated columns.
 * @returns the landings; each of them is to be landed if the file is used further
 */
export function stageLandings(place: Place, schemas: readonly TableSchema[]): ReadonlyMap<TableName, StagedLanding> {
  const staged = new Map<TableName, StagedLanding>();
  for (const [id, schema] of schemas.entries()) {
    const table = requireTable(place.connection, schema.name);
    if (isTransferred(place.connection, table)) continue;
    const landing = new Landing(place, table, id);
    const indexes = followable(place.connection, table, schema).filter((index) => landing.follow(index));
    landing.adopt();
    staged.set(schema.name, {landing, id, indexes});
  }
  return staged;
}

/** Whether {@link stageLandings} changes the file. */
export function needsLandings({connection}: Place, schemas: readonly TableSchema[]): boolean {
  return schemas.some(({name}) => !isTransferred(connection, requireTable(connection, name)));
}

/**
 * Whether SQLite transfers a table to an empty one with the same schema (xferOptimization in its src/insert.c). Where
 * indexes need the table to be empty, the statement has a second part for a table that is not, which does not compile
 * with generated columns. And a table without a key, which gets an index for the transfer, is such a case; so is an
 * ON CONFLICT clause of the key, for which the word is enough here.
 */
function isTransferred(connection: Connection, {name, sql, columns, key}: Table): boolean {
  if (!columns.some((column) => column.generated)) return true;
  const isUnique = connection.all(`SELECT "unique" FROM pragma_index_list(?, 'main')`, name).map((row) => row.unique);
  const hasIntegerKey = key.kind === 'rowid' && key.column !== undefined;
  return hasIntegerKey && !isUnique.includes(1n) && !/conflict/i.test(sql);
}

/** The indexes whose entries are columns of the record. */
function followable(connection: Connection, table: Table, schema: TableSchema): readonly string[] {
  const plain = definitionOf(schema).indexes.filter((sql) => isPlainIndex(table, sql));
  return [...constraintIndexes(connection, table), ...plain.map(objectName)];
}

/**
 * Copies a staged landing, with its indexes if SQLite transfers them, and makes it the table.
 * @param table of `main`, empty; its indexes exist, and `staged` is attached
 * @param transfers whether SQLite transfers a table of this name
 * @param copy transfers it
 */
export function transferLanding(
  connection: Connection,
  table: Table,
  {id, indexes, landing: {name}}: StagedLanding,
  {transfers, copy}: {transfers: (name: string) => boolean; copy: (name: string) => void},
): void {
  const landing = new Landing({connection}, table, id);
  for (const index of indexes) assert(landing.follow(index), 'indexes of the same statements can be followed');
  // SQLite gives rows new rowids if the table has no index; those of a table without a key must stay.
  const keepsRowids = indexes.length > 0 || table.key.kind !== 'rowid' || table.key.column !== undefined;
  if (keepsRowids && transfers(name)) copy(name);
  else landing.loadFrom(`staged.${name}`);
  landing.land();
}
