import {BkpError} from '../../../errors/index.ts';
import type {MergeMode, TableSchema} from '../../source.ts';
import {findTable, requireTable} from '../catalog/catalog.ts';
import {Connection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {definitionOf} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {fitOf} from './fit.ts';
import type {MergedPair} from './pair.ts';

/**
 * The living tables of the names that tables of a backup have.
 * @throws BkpError `TABLE_NOT_FOUND` | `PRECONDITION` | `UNSUPPORTED`
 */
export function pairsOf(connection: Connection, tables: readonly Table[], mode: MergeMode): readonly MergedPair[] {
  return tables.map((stored) => {
    const found = findTable(connection, stored.name);
    if (found.kind === 'table') return fitOf(found.table, stored, mode);
    throw new BkpError('TABLE_NOT_FOUND', `there is no table ${stored.name} to bring rows into`, {
      cause: found.kind === 'unsupported' ? found.reason : undefined,
      next: 'restore it without MODE, which creates it',
      context: {table: stored.name},
    });
  });
}

/** The same before anything is loaded: the tables of the backup are created in memory, empty. */
export function pairsOfSchemas(
  connection: Connection,
  schemas: readonly TableSchema[],
  mode: MergeMode,
): readonly MergedPair[] {
  const scratch = new Connection('the schema of the backup', {memory: true});
  try {
    for (const schema of schemas) {
      runFromManifest(scratch, {what: 'table', table: schema.name}, definitionOf(schema).table);
    }
    return pairsOf(
      connection,
      schemas.map(({name}) => requireTable(scratch, name)),
      mode,
    );
  } finally {
    scratch.close();
  }
}

/** Names of the tables that are replaced with their schemas. */
export function swappedNames(pairs: readonly MergedPair[]): ReadonlySet<string> {
  return new Set(pairs.flatMap(({stored, how}) => (how.kind === 'swap' ? [stored.name] : [])));
}
