import {BkpError} from '../../../errors/index.ts';
import type {Mark, SnapshotOptions, TableName} from '../../source.ts';
import {findRelations, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import type {DumpOptions} from '../schema/dump.ts';
import {ensureShared, ensureTracked} from '../tracking/ensure.ts';
import {isMarkKnown, setMark} from '../tracking/marks.ts';
import {logOf} from '../tracking/objects.ts';
import {isScanMark, scanMark, unreadOf} from '../tracking/scan-mark.ts';
import {mostUnread} from './before.ts';
import {requireKnown} from './begin.ts';
import {openBeside, openReaders} from './readers.ts';
import {PostgresSnapshot} from './snapshot.ts';
import {beginWithParts} from './with-parts.ts';

/** Of a database that is smaller, one connection reads the rows as fast. */
const bytesForReaders = 16 * 1024 * 1024;
/** Each reader has a lock of every table, and a server has room for about 6,400 locks of all its sessions. */
const manyTables = 500;
/** The rows of fewer changes are there before another connection is: about 5,000 of them. */
const logBytesForOthers = 256 * 1024;

export type OpenOptions = Pick<DumpOptions, 'resolved' | 'programs' | 'env'> & {
  lockTimeoutSeconds: number;
  /** How many read at the same time. */
  connections: number;
  /** As many of many tables. */
  connectionsForMany: number;
  /** Nothing is written to the database. */
  isScanned: boolean;
  /** Opens another one. */
  connect: () => Promise<Connection>;
};

/**
 * Opens a snapshot of the tables. The order of the steps is what makes increments complete: tracking is there, then the
 * mark is set, then the tables are locked, then the snapshot is taken. So the snapshot sees whatever the mark sees, and
 * every change after the mark is in the log. LOCK takes no snapshot: a TRUNCATE that ended before is seen.
 * @param connection new; the snapshot closes it
 * @throws BkpError
 */
export async function openSnapshot(
  connection: Connection,
  asked: SnapshotOptions,
  options: OpenOptions,
): Promise<PostgresSnapshot> {
  try {
    if (asked.known !== undefined) await requireKnown(connection, asked.known);
    const relations = await relationsOf(connection, asked.tables);
    const whole = new Set(asked.whole);
    const tracked = relations.filter(({name}) => !whole.has(name));
    // Before anything is written to the source: a refused increment must not begin to track.
    const {since} = asked;
    const {isScanned} = options;
    const isCompared = since !== undefined && (isScanned || isScanMark(since.mark));
    const logged = isCompared ? undefined : since;
    if (logged !== undefined) await requireKnownMark(connection, logged);
    const mark =
      asked.track &&
      (isScanned ? nextScanMark(since?.mark) : await beginTracking(connection, asked.track.owner, tracked, options));
    const isIncrement = logged !== undefined;
    const {rootOf, parts} = await beginWithParts(connection, relations, {...options, asked, isIncrement});
    if (logged !== undefined) await requireKnownMark(connection, logged);
    const bytes = relations.reduce((sum, relation) => sum + relation.bytes, 0);
    const isSmall = logged !== undefined || bytes < bytesForReaders;
    const reading = {...options, relations};
    const isMany = relations.length + rootOf.size > manyTables;
    const connections = isMany ? options.connectionsForMany : options.connections;
    const readers = isSmall ? [connection] : await openReaders(connection, {...reading, connections});
    const beside =
      logged !== undefined && (await isMuchLogged(connection, relations))
        ? await openBeside(connection, {...reading, connections: Math.min(connections, relations.length)})
        : [connection];
    return new PostgresSnapshot({
      connection,
      readers,
      beside,
      relations,
      rootOf,
      ...parts,
      mark,
      owner: asked.track?.owner,
      isScanned,
      isCompared,
      since,
      notice: asked.notice,
      allRows: asked.allRows,
    });
  } catch (error) {
    const why = asked.signal?.aborted ? undefined : await whyTablesChanged(connection, asked, error);
    await connection.close();
    throw why ?? error;
  }
}

/** A table that was dropped or renamed after the listing makes whatever meets it first fail: a lock, pg_dump. */
async function whyTablesChanged(
  connection: Connection,
  {known}: SnapshotOptions,
  error: unknown,
): Promise<BkpError | undefined> {
  if (known === undefined || !(error instanceof BkpError) || error.code === 'SOURCE_LOCKED') return undefined;
  try {
    await connection.run('ROLLBACK');
    await requireKnown(connection, known);
  } catch (found) {
    if (found instanceof BkpError && found.code === 'BUSY') return found;
  }
  return undefined;
}

async function isMuchLogged(connection: Connection, relations: readonly Relation[]): Promise<boolean> {
  const sizes = relations.map(({oid}) => `coalesce(pg_relation_size(to_regclass('${logOf(oid)}')), 0)`);
  return Number(await connection.value(`SELECT ${sizes.join(' + ') || '0'}`)) >= logBytesForOthers;
}

/** Counts increments in a row that leave rows unread; a full backup, and an increment that reads all, begin again. */
function nextScanMark(before: Mark | undefined): Mark {
  const unread = before === undefined || !isScanMark(before) ? 0 : unreadOf(before) + 1;
  return scanMark(unread > mostUnread ? 0 : unread);
}

async function relationsOf(connection: Connection, tables: readonly TableName[]): Promise<readonly Relation[]> {
  const found = await findRelations(connection, tables);
  return tables.map((name) => {
    const relation = found.get(name);
    if (relation !== undefined) return relation;
    throw new BkpError('TABLE_NOT_FOUND', `table ${name} does not exist in ${connection.facts.place}`, {
      next: 'bkp doctor lists the tables that the role can see',
      context: {table: name},
    });
  });
}

async function beginTracking(
  connection: Connection,
  owner: string,
  relations: readonly Relation[],
  {lockTimeoutSeconds}: OpenOptions,
): Promise<Mark> {
  await ensureShared(connection);
  for (const relation of relations) await ensureTracked(connection, relation, {lockTimeoutSeconds});
  return setMark(connection, owner, relations);
}

/**
 * A mark of any table shows that the database is the one of the backup. Tables that begin again one by one do not need
 * it, but a backup of another database must not continue the chain.
 * @throws BkpError `CHAIN_BROKEN`
 */
async function requireKnownMark(
  connection: Connection,
  {owner, mark, fingerprints}: NonNullable<SnapshotOptions['since']>,
): Promise<void> {
  const [table] = Object.keys(fingerprints);
  if (table === undefined || (await isMarkKnown(connection, owner, mark))) return;
  throw new BkpError(
    'CHAIN_BROKEN',
    'this database does not know the backup before: it is another one or an older copy, or its change tracking was ' +
      'removed',
    {next: 'take a new full backup: it starts a new chain', context: {table}},
  );
}
