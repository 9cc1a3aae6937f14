import {BkpError} from '../../../errors/index.ts';
import type {StoredBase, TableName, TableSchema} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import {Connection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {definitionOf} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {Landing} from './landing.ts';
import {planTrees, type TreePlan} from './tree-plan.ts';

/** A table that is being restored. */
export type StagedTable = {
  schema: TableSchema;
  table: Table;
  /** Present if its base consists of records. */
  plan?: TreePlan | undefined;
  /** Where its rows are loaded; absent if they all are records. */
  landing?: Landing | undefined;
};

/** The database; a staging file closes its connection and opens another. */
type Place = {readonly connection: Connection};

/** Creates the table, empty, with the indexes whose trees are laid out. @param id distinguishes the tables of a file */
export function stageTable(
  place: Place,
  {schema, base, id}: {schema: TableSchema; base: StoredBase | undefined; id: number},
): StagedTable {
  const table = makeTable(place.connection, schema);
  const landing = base === undefined || base.changedKeys > 0 ? new Landing(place, table, id) : undefined;
  const plan = base && planTrees(place.connection, {table, schema, base, landing});
  return {schema, table, plan, landing};
}

/** See `TableSource.treesToLoad`: what a staging decides, in memory. */
export function treesToLoad(
  schemas: readonly TableSchema[],
  bases: ReadonlyMap<TableName, StoredBase>,
): ReadonlyMap<TableName, ReadonlySet<string>> {
  const connection = new Connection('the schema of the backup', {memory: true});
  try {
    return new Map(
      schemas.map((schema, id) => {
        const {plan} = stageTable({connection}, {schema, base: bases.get(schema.name), id});
        return [schema.name, new Set(plan?.trees.map(({name}) => name))];
      }),
    );
  } finally {
    connection.close();
  }
}

/** Without triggers, which are created last so that no row fires them. */
function makeTable(connection: Connection, schema: TableSchema): Table {
  runFromManifest(connection, {what: 'table', table: schema.name}, definitionOf(schema).table);
  const found = findTable(connection, schema.name);
  if (found.kind === 'table') return found.table;
  throw new BkpError('OBJECT_DAMAGED', `the statement for table ${schema.name} creates none that can be loaded`, {
    next: 'restore another backup, and report this',
  });
}
