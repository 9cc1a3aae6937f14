import {isDeepStrictEqual} from 'node:util';
import {BkpError} from '../../../errors/index.ts';
import type {Mark, SnapshotOptions, TableName} from '../../source.ts';
import {leftBehindOf} from '../catalog/left-behind.ts';
import {withLockHolder} from '../catalog/lock-holder.ts';
import {isUserSchema} from '../catalog/own-schemas.ts';
import {findRelation, ownTableNames, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {closedSelection} from '../schema/closure.ts';
import {type DumpOptions, dumpSchema} from '../schema/dump.ts';
import type {Entry} from '../schema/entries.ts';
import {select} from '../schema/select.ts';
import {schemaState} from '../schema/state.ts';
import {objectsAfter, sharedText, tableSchemaOf} from '../schema/table-schema.ts';
import {ensureShared, ensureTracked} from '../tracking/ensure.ts';
import {isMarkKnown, setMark} from '../tracking/marks.ts';
import {logOf} from '../tracking/objects.ts';
import {isScanMark, scanMark, unreadOf} from '../tracking/scan-mark.ts';
import {mostUnread} from './before.ts';
import {lockText} from './from.ts';
import {tellHiddenReads} from './hidden-reads.ts';
import {type Partitions, partitionsOf} from './partitions.ts';
import {openBeside, openReaders} from './readers.ts';
import {requireClosed} from './require-closed.ts';
import {PostgresSnapshot} from './snapshot.ts';

const schemaTries = 5;

/** Of a database that is smaller, one connection reads the rows as fast. */
const bytesForReaders = 16 * 1024 * 1024;
/** The rows of fewer changes are there before another connection is: about 5,000 of them. */
const logBytesForOthers = 256 * 1024;

export type OpenOptions = Pick<DumpOptions, 'resolved' | 'programs' | 'env'> & {
  lockTimeoutSeconds: number;
  /** How many read at the same time. */
  connections: number;
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
    const {omitIndexes = false, objects = false, since, signal} = asked;
    const {isScanned} = options;
    const isCompared = since !== undefined && (isScanned || isScanMark(since.mark));
    const logged = isCompared ? undefined : since;
    if (logged !== undefined) await requireKnownMark(connection, logged);
    const mark =
      asked.track &&
      (isScanned ? nextScanMark(since?.mark) : await beginTracking(connection, asked.track.owner, tracked, options));
    const {entries, rootOf} = await beginWithSchema(connection, relations, {
      options,
      objects,
      isIncrement: logged !== undefined,
      known: asked.known,
      signal,
    });
    if (logged !== undefined) await requireKnownMark(connection, logged);
    const {selection, gaps} = await closedSelection(connection, entries, (all) =>
      select(all, relations, {rootOf, withViews: objects}),
    );
    await requireClosed(connection, {selection, gaps, notice: asked.notice});
    await tellHiddenReads(connection, relations, asked.notice);
    const without = objects ? await leftBehindOf(connection) : [];
    const schemas = [];
    for (const relation of relations) {
      const parts = selection.parts.get(relation.oid)!;
      schemas.push(await tableSchemaOf(connection, relation, parts, {omitIndexes}));
    }
    const bytes = relations.reduce((sum, relation) => sum + relation.bytes, 0);
    const isSmall = logged !== undefined || bytes < bytesForReaders;
    const readers = isSmall ? [connection] : await openReaders(connection, {...options, relations});
    const reading = {...options, relations};
    const beside =
      logged !== undefined && (await isMuchLogged(connection, relations))
        ? await openBeside(connection, {...reading, connections: Math.min(options.connections, relations.length)})
        : [connection];
    return new PostgresSnapshot({
      connection,
      readers,
      beside,
      relations,
      rootOf,
      schemas,
      objects: objects ? await objectsAfter(connection, selection) : [],
      database: {
        product: 'postgres',
        version: connection.facts.version,
        encoding: connection.facts.encoding,
        shared: await sharedText(connection, selection),
        ...(without.length === 0 ? {} : {without: without.join('\n')}),
      },
      mark,
      owner: asked.track?.owner,
      isScanned,
      isCompared,
      since,
      notice: asked.notice,
    });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function isMuchLogged(connection: Connection, relations: readonly Relation[]): Promise<boolean> {
  const sizes = relations.map(({oid}) => `coalesce(pg_relation_size(to_regclass('${logOf(oid)}')), 0)`);
  return Number(await connection.value(`SELECT ${sizes.join(' + ') || '0'}`)) >= logBytesForOthers;
}

/**
 * Begins the transaction of the snapshot, and reads the schema of the same moment. pg_dump runs before it, because it
 * could not get its locks while this one holds its own; if the schema has changed by then, both begin again.
 * @throws BkpError `SOURCE_LOCKED` when it changes all the time
 */
async function beginWithSchema(
  connection: Connection,
  relations: readonly Relation[],
  {
    options,
    objects,
    isIncrement,
    known,
    signal,
  }: {
    options: OpenOptions;
    objects: boolean;
    isIncrement: boolean;
    known: SnapshotOptions['known'];
    signal: AbortSignal | undefined;
  },
): Promise<{entries: readonly Entry[]; rootOf: Partitions}> {
  for (let left = schemaTries; left > 0; left--) {
    const rootOf = await partitionsOf(connection, relations);
    const oids = [...new Set([...relations.map(({oid}) => oid), ...rootOf.keys()])];
    const without = objects ? [] : await otherTables(connection, relations, rootOf);
    const before = await schemaState(connection, oids);
    const held = {
      oids,
      mode: 'ACCESS SHARE',
      cause: 'a backup reads a table between two changes of its schema',
    } as const;
    const entries = await dumpSchema(connection, {...options, without, signal}).catch(async (error: unknown) => {
      throw await withLockHolder(connection, error, held);
    });
    // An increment collects keys in a temporary table, which a READ ONLY transaction cannot create.
    await connection.run(`BEGIN ISOLATION LEVEL REPEATABLE READ ${isIncrement ? '' : 'READ ONLY'}`);
    await fixSettings(connection, options);
    // TRUNCATE and rewriting ALTERs wait for the lock: to a snapshot from before, they would have emptied the table.
    if (relations.length > 0) {
      await connection.run(lockText(relations)).catch(async (error: unknown) => {
        await connection.run('ROLLBACK').catch(() => {});
        // One that was dropped cannot be locked.
        if (known !== undefined) await requireKnown(connection, known);
        throw await withLockHolder(connection, error, held).catch(() => error);
      });
    }
    if (known !== undefined) await requireKnown(connection, known);
    await requireSameTables(connection, relations);
    const isSame = (await schemaState(connection, oids)) === before;
    if (isSame && isDeepStrictEqual(await partitionsOf(connection, relations), rootOf)) return {entries, rootOf};
    await connection.run('ROLLBACK');
  }
  throw new BkpError('SOURCE_LOCKED', `the schema of ${connection.facts.place} changes all the time`, {
    cause: `${schemaTries} times, a statement changed a table, a type or a function while bkp read the schema`,
    next: 'give the statement again when the schema has settled',
    retryable: true,
  });
}

/** Counts increments in a row that leave rows unread; a full backup, and an increment that reads all, begin again. */
function nextScanMark(before: Mark | undefined): Mark {
  const unread = before === undefined || !isScanMark(before) ? 0 : unreadOf(before) + 1;
  return scanMark(unread > mostUnread ? 0 : unread);
}

async function relationsOf(connection: Connection, tables: readonly TableName[]): Promise<readonly Relation[]> {
  const relations: Relation[] = [];
  for (const name of tables) {
    const relation = await findRelation(connection, name);
    if (relation === undefined) {
      throw new BkpError('TABLE_NOT_FOUND', `table ${name} does not exist in ${connection.facts.place}`, {
        next: 'bkp doctor lists the tables that the role can see',
        context: {table: name},
      });
    }
    relations.push(relation);
  }
  return relations;
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

/**
 * A partition that was detached since the listing would be neither with its table nor for itself, and so would the rows
 * of a table that another one took over.
 * @param known every table of the database, when it was listed
 * @throws BkpError `BUSY`
 */
async function requireKnown(connection: Connection, known: readonly TableName[]): Promise<void> {
  const names = new Set(await ownTableNames(connection));
  const listed = new Set(known);
  const other = known.find((name) => !names.has(name)) ?? [...names].find((name) => !listed.has(name));
  if (other === undefined) return;
  throw new BkpError('BUSY', `tables were created, dropped, attached or detached while the backup began: ${other}`, {
    next: 'give the statement again',
    retryable: true,
  });
}

/**
 * A name may mean another table by the time it is locked, whose rows would be taken for those of the first one; and the
 * rows of a partition would be taken twice.
 * @throws BkpError `SOURCE_LOCKED`
 */
async function requireSameTables(connection: Connection, relations: readonly Relation[]): Promise<void> {
  for (const {schema, table, oid, name} of relations) {
    const [now] = await connection.rows('SELECT oid, relispartition FROM pg_class WHERE oid = to_regclass($1)', [
      qualified(schema, table),
    ]);
    const isPartition = now?.[1] === 't';
    if (Number(now?.[0]) === oid && !isPartition) continue;
    const what = isPartition ? 'became a partition of another one' : 'was replaced by another one';
    throw new BkpError('SOURCE_LOCKED', `table ${name} ${what} while the backup began`, {
      next: 'give the statement again',
      context: {table: name},
      retryable: true,
    });
  }
}

/** Patterns of pg_dump for every other table, which it would lock. */
async function otherTables(
  connection: Connection,
  relations: readonly Relation[],
  rootOf: Partitions,
): Promise<readonly string[]> {
  const own = new Set([...relations.map(({oid}) => oid), ...rootOf.keys()]);
  const rows = await connection.rows(`
    SELECT c.oid, '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${isUserSchema}`);
  return rows.filter(([oid]) => !own.has(Number(oid))).map(([, pattern]) => pattern!);
}
