import {BkpError} from '../../../errors/index.ts';
import type {Mark, SnapshotOptions, TableName} from '../../source.ts';
import {findTable, tableNames} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {trackingObstacle} from '../schema/obstacles.ts';
import {fingerprintOf} from '../schema/schema.ts';
import {affinity, type Table} from '../schema/table.ts';
import {isMarkKnown, logReachesTo, markedAt, whyMarkFails} from '../tracking/marks.ts';
import {trackingFault} from '../tracking/tracking.ts';
import {logName} from '../triggers/names.ts';

// What must hold before a snapshot is given out.

type Since = NonNullable<SnapshotOptions['since']>;

/** @throws BkpError `TABLE_NOT_FOUND` | `BUSY` if the database has not exactly the tables of `known` */
export function readTables(
  connection: Connection,
  {tables, known}: Pick<SnapshotOptions, 'tables' | 'known'>,
): readonly Table[] {
  if (known !== undefined && tableNames(connection).join('\0') !== known.join('\0')) {
    throw new BkpError('BUSY', 'tables were created or dropped while the backup began', {
      next: 'give the statement again when the migration is over',
      retryable: true,
    });
  }
  return tables.map((name) => {
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
 * of the schema can hold values that it would store differently today: '5' in an INTEGER, 5 in a TEXT. The query reads
 * the whole key, half a second for 5 million rows, so it runs only if the records of the table have such a value
 * (assembly/pages/content.ts), or are not read.
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

/**
 * A mark of any table shows that the database is the one of the backup, or a later copy of it. Tables that begin again
 * one by one do not need it, but a backup of another database must not continue the chain.
 * @throws BkpError `CHAIN_BROKEN`
 */
export function requireKnownMark(connection: Connection, {owner, mark, fingerprints}: Since): void {
  const [table] = Object.keys(fingerprints);
  // A backup without tracked tables left no mark.
  if (table === undefined || isMarkKnown(connection, owner, mark)) return;
  throw new BkpError(
    'CHAIN_BROKEN',
    'this database does not know the backup before: it was replaced by another one or an older copy, its change ' +
      'tracking was removed, or a later backup was dropped',
    {next: 'take a new full backup: it starts a new chain', context: {table}},
  );
}

/**
 * Why the log cannot name every key of a table that changed since the mark; undefined when it can. The clause follows
 * "all rows of … are taken:".
 */
export function whyAllRows(connection: Connection, table: Table, since: Since): string | undefined {
  if (fingerprintOf(table) !== since.fingerprints[table.name])
    return 'its CREATE TABLE statement is not that of the backup before';
  const fault = trackingFault(connection, table);
  if (fault !== undefined) return `its changes were not tracked all the time: ${fault}`;
  const failing = whyMarkFails(connection, since.owner, since.mark);
  if (failing !== undefined) return failing;
  const seq = markedAt(connection, since.owner, since.mark, table.name);
  if (seq === undefined) return `its change log ${logName(table.name)} began after the backup before`;
  if (!logReachesTo(connection, table.name, seq)) return `its change log ${logName(table.name)} has lost rows`;
  return undefined;
}

/** A table whose schema changed between the mark and the snapshot, so that later changes may be missing in its log. */
export function untrackedTable(
  connection: Connection,
  tables: readonly Table[],
  owner: string,
  mark: Mark,
): TableName | undefined {
  return tables.find(
    (table) =>
      trackingFault(connection, table) !== undefined || markedAt(connection, owner, mark, table.name) === undefined,
  )?.name;
}
