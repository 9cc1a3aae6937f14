import type {TableFacts, TableName} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {allRelations, findRelations, type Relation} from './relations.ts';

/** All tables of the user, or the named ones; see `TableSource.describe`. */
export async function describeTables(
  connection: Connection,
  tables: readonly TableName[] | 'all',
): Promise<readonly TableFacts[]> {
  if (tables === 'all') return (await relationsOf(connection, 'all')).map(factsOf);
  const found = await findRelations(connection, tables);
  return tables.map((name) => {
    const relation = found.get(name);
    return relation === undefined ? {name, state: 'absent'} : factsOf(relation);
  });
}

/** The user's tables, or of the named ones those that exist. */
export async function relationsOf(
  connection: Connection,
  tables: readonly TableName[] | 'all',
): Promise<readonly Relation[]> {
  if (tables === 'all') return (await allRelations(connection)).filter(isOwnTable);
  const found = await findRelations(connection, tables);
  return tables.flatMap((name) => found.get(name) ?? []);
}

/** Partitions are a part of their table, and tables of extensions come with these. */
function isOwnTable({kind, partitionOf, extension}: Relation): boolean {
  return (kind === 'table' || kind === 'partitioned') && partitionOf === undefined && extension === undefined;
}

function factsOf(relation: Relation): TableFacts {
  const {name} = relation;
  const reason = obstacleOf(relation);
  if (reason !== undefined) return {name, state: 'unsupported', reason};
  const fullOnly = trackingObstacle(relation);
  return fullOnly === undefined ? {name, state: 'present'} : {name, state: 'present', fullOnly};
}

function obstacleOf({name, kind, persistence, partitionOf, foreignPartition, extension}: Relation): string | undefined {
  if (partitionOf !== undefined) return `it is a partition of ${partitionOf}: name that table`;
  if (foreignPartition !== undefined) {
    return `the rows of its partition ${foreignPartition} are on another server: detach that, or back the other one up`;
  }
  if (extension !== undefined) return `it belongs to the extension ${extension}, which creates it`;
  if (persistence === 'temporary') return 'it is temporary: only its own session sees it';
  switch (kind) {
    case 'table':
    case 'partitioned':
      return undefined;
    case 'view':
      return 'it is a view: only a collection of the whole DATABASE holds those';
    case 'materialized view':
      return 'it is a materialized view: only a collection of the whole DATABASE holds those';
    case 'foreign table':
      return 'its rows are on another server: back that one up';
    case 'other':
      return `${name} is not a table`;
  }
}

/** @returns why no increment can be taken; the end of a sentence */
export function trackingObstacle({hasPrimaryKey, persistence}: Relation): string | undefined {
  if (!hasPrimaryKey) return 'it has no primary key';
  return persistence === 'unlogged' ? 'it is unlogged: a crash of the server empties it without a trace' : undefined;
}
