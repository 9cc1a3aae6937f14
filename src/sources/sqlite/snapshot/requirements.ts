import {BkpError} from '../../../errors/index.ts';
import type {Mark, SnapshotOptions, TableName} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {trackingObstacle} from '../schema/obstacles.ts';
import {fingerprintOf} from '../schema/schema.ts';
import {affinity, type Table} from '../schema/table.ts';
import {logReachesTo, markedAt} from '../tracking/marks.ts';
import {trackingFault} from '../tracking/tracking.ts';
import {logName} from '../triggers/names.ts';

// What must hold before a snapshot is given out.

/** @throws BkpError `TABLE_NOT_FOUND` */
export function readTables(connection: Connection, names: readonly TableName[]): readonly Table[] {
  return names.map((name) => {
    const found = findTable(connection, name);
    if (found.kind === 'table') return found.table;
    throw new BkpError('TABLE_NOT_FOUND', `table ${name} does not exist any more`, {
      next: 'give the statement again',
      context: {table: name},
    });
  });
}

/** @throws BkpError `UNSUPPORTED` */
export function requireTrackable(table: Table): void {
  const obstacle = trackingObstacle(table);
  if (obstacle === undefined) return;
  throw new BkpError('UNSUPPORTED', `table ${table.name} cannot have incremental backups`, {
    cause: obstacle,
    next: 'back it up in a collection without INCREMENTAL_BACKUP_ENABLED',
    context: {table: table.name},
  });
}

/**
 * Two rows of a table WITHOUT ROWID have equal keys only when an edit of the schema gave the key a coarser
 * collation; no new table could hold both. The query sorts all rows, so it runs only where this is possible.
 * @throws BkpError `UNSUPPORTED`
 */
export function requireDistinctKeys(connection: Connection, {name, key, withoutRowid}: Table): void {
  if (!withoutRowid || key.kind === 'rowid') return;
  if (key.parts.every(({collation}) => foldName(collation) === 'binary')) return;
  // Without the + SQLite would assume that the tree is in order.
  const parts = key.parts.map(({column, collation}) => `+${quoteName(column)} COLLATE ${quoteName(collation)}`);
  const twice = `SELECT 1 FROM main.${quoteName(name)} GROUP BY ${parts.join(', ')} HAVING count(*) > 1 LIMIT 1`;
  if (connection.get(twice) === undefined) return;
  throw new BkpError('UNSUPPORTED', `table ${name} cannot be in a collection`, {
    cause: 'its primary key holds values that its own collation considers equal, from before an edit of the schema',
    next: 'only a copy of the whole file holds it, which BACKUP DATABASE makes',
    context: {table: name},
  });
}

/**
 * A key is logged, compared and found as its column would store it. A column whose type was changed by an edit
 * of the schema can hold values that it would store differently today: '5' in an INTEGER, 5 in a TEXT.
 * @throws BkpError `UNSUPPORTED`
 */
export function requireKeyTypes(connection: Connection, table: Table): void {
  if (table.key.kind === 'rowid') return;
  const otherwise = table.key.parts.flatMap((part) => {
    const column = table.columns.find(({name}) => name === part.column)!;
    const name = quoteName(column.name);
    switch (affinity(table, column)) {
      case 'BLOB':
        return [];
      case 'TEXT':
        return [`typeof(${name}) IN ('integer', 'real')`];
      default:
        // With the column's affinity a text that looks like a number equals it.
        return [`(typeof(${name}) = 'text' AND ${name} = ${name} + 0)`];
    }
  });
  if (otherwise.length === 0) return;
  const query = `SELECT 1 FROM main.${quoteName(table.name)} WHERE ${otherwise.join(' OR ')} LIMIT 1`;
  if (connection.get(query) === undefined) return;
  throw new BkpError('UNSUPPORTED', `table ${table.name} cannot have incremental backups`, {
    cause: 'its primary key holds values of another type than its columns store, from before an edit of the schema',
    next:
      'back it up in a collection without INCREMENTAL_BACKUP_ENABLED, or rewrite these keys: ' +
      'UPDATE … SET key = key',
    context: {table: table.name},
  });
}

/** @throws BkpError `CHAIN_BROKEN` */
export function requireUnbroken(
  connection: Connection,
  tables: readonly Table[],
  since: NonNullable<SnapshotOptions['since']>,
): void {
  for (const table of tables) {
    if (fingerprintOf(table) !== since.fingerprints[table.name])
      throw broken(`the columns of table ${table.name} are not those of the backup before`, table.name);
    const fault = trackingFault(connection, table);
    if (fault !== undefined)
      throw broken(`changes of table ${table.name} were not tracked all the time: ${fault}`, table.name);
    const seq = markedAt(connection, since.owner, since.mark, table.name);
    if (seq === undefined) throw unknownMark(table.name);
    if (!logReachesTo(connection, table.name, seq))
      throw broken(`the change log ${logName(table.name)} has lost rows`, table.name);
  }
}

/** The schema may have changed between the mark and the snapshot. @throws BkpError `CHAIN_BROKEN` */
export function requireTracked(connection: Connection, tables: readonly Table[], owner: string, mark: Mark): void {
  for (const table of tables) {
    const isTracked =
      trackingFault(connection, table) === undefined && markedAt(connection, owner, mark, table.name) !== undefined;
    if (!isTracked)
      throw broken(`table ${table.name} was changed (ALTER, DROP, CREATE) while its backup began`, table.name);
  }
}

export function unknownMark(table: TableName): BkpError {
  return broken(
    'this database does not know the backup before: it was replaced by another one or an older ' +
      `copy, or table ${table} was recreated`,
    table,
  );
}

function broken(message: string, table: TableName): BkpError {
  return new BkpError('CHAIN_BROKEN', message, {
    next: 'take a new full backup: it starts a new chain',
    context: {table},
  });
}
