import {
  type Meter,
  startMeter,
  tellIfNamedAhead,
  unlessDamaged,
  unlessUnreadable,
  type WorkTools,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {SchemaObject, Snapshot, TableName, TableSource} from '../../sources/index.ts';
import type {Vault, VaultReader, VaultWriter} from '../../vault/index.ts';
import {type LiveCollection, requireCollection} from '../stored/folder.ts';
import {type LayerSink, readPreviousBase, writeBase, writeDelta} from '../stored/layers.ts';
import {
  type Backup,
  type BackupBody,
  type Layer,
  readBackup,
  StreamTable,
  type TableBackup,
  toManifest,
} from '../stored/manifest.ts';
import {type BackupName, type BackupType, manifestKey, nameMs, nextBackupName} from '../stored/names.ts';
import {adoptingStatement, nameDatabase, requireDatabase} from './belongs.ts';
import {requireChain, requireSameMembers, sinceOf} from './chain.ts';
import {leftBehind, memberTables} from './members.ts';

export type BackupRequest = {
  collection: string;
  type: BackupType;
  name: BackupName;
  operation: string;
  /** The database is the collection's from now on, whichever it was until now. Default false. */
  adopt?: boolean;
};

export type BackupReport = {
  backup: BackupName;
  rows: number;
  deletedRows: number;
  logicalBytes: number;
  storedBytes: number;
  /** How many older backups KEEP_LATEST wants gone now; nothing was removed yet. */
  beyondKept: number;
};

/**
 * Refuses at once what can be refused at once; nothing is started or written.
 * @returns the name that the backup will have, unless another machine takes it first
 */
export async function planBackup(
  vault: VaultReader,
  source: TableSource,
  request: {collection: string; type: BackupType; adopt?: boolean; nowMicros: number},
): Promise<BackupName> {
  const live = await requireCollection(vault, request.collection);
  const members = await memberTables(live.definition, source);
  if (!request.adopt) await requireOwnDatabase(vault, source, live, request.type);
  if (request.type === 'incremental') requireSameMembers(await requireChain(vault, live), members);
  return nextBackupName(request.type, request.nowMicros, live.taken);
}

/**
 * Takes a backup: one snapshot over all members, its layers into the vault, the manifest last. With the manifest the
 * backup exists; only then is the source's change log trimmed, so a process ended in between repeats work and loses
 * nothing.
 */
export async function takeBackup(
  tools: WorkTools & {vault: Vault; source: TableSource},
  request: BackupRequest,
): Promise<BackupReport> {
  const {vault, source, signal} = tools;
  const lease = {purpose: `operation ${request.operation}`, subject: `collection ${request.collection}`};
  const writer = await vault.writer(lease, {signal});
  try {
    // Read again under the lease: what the preflight saw may have changed since, and nobody changes it from here on.
    const live = await requireCollection(vault, request.collection);
    const name = stillFree(request, live.taken)
      ? request.name
      : nextBackupName(request.type, tools.nowMicros(), live.taken);
    const newest = live.taken.toSorted().at(-1);
    tellIfNamedAhead(tools, newest && {name: newest, micros: nameMs(newest) * 1000}, name);
    const parent = request.type === 'incremental' ? await requireChain(vault, live) : undefined;
    if (!request.adopt) await requireOwnDatabase(vault, source, live, request.type);
    const content = await copyTables(tools, writer, live, name, parent);
    signal.throwIfAborted();
    tools.progress({...content.meter.state(), phase: 'Commit'});
    await writer.flush();
    const {logicalBytes, storedBytes} = writer.stats;
    const {rows, deletedRows} = content;
    const body: BackupBody = {
      version: content.objects.length === 0 ? 1 : 2,
      collection: {id: live.definition.id, name: live.definition.name},
      backup: name,
      type: request.type,
      chain: parent?.body.chain ?? name,
      ...(parent === undefined ? {} : {parent: parent.body.backup}),
      takenAt: content.takenAt,
      source: content.source,
      ...(content.mark === undefined ? {} : {mark: content.mark}),
      tables: content.tables,
      ...(content.objects.length === 0 ? {} : {objects: content.objects}),
      cost: {rows, deletedRows, logicalBytes, storedBytes},
    };
    const key = manifestKey(live.definition.name, name);
    if ((await writer.commit(key, toManifest(body, content.streams.streams))) === 'exists') {
      throw new BkpError('BUSY', `another bkp took the name ${name} meanwhile`, {
        next: 'take the backup again',
        retryable: true,
      });
    }
    // From here on the backup exists; a log that could not be trimmed is trimmed by the next one.
    try {
      if (content.mark !== undefined) await source.acknowledge(live.definition.id, content.mark);
      // Increments were switched off since the backup before: nothing of their tracking stays in the source.
      else await source.untrack(live.definition.id);
    } catch (error) {
      tools.notice(`the source's change log was not trimmed: ${(error as Error).message}`);
    }
    const {keepLatest = Number.POSITIVE_INFINITY} = live.definition.settings;
    const beyondKept = Math.max(0, live.backups.length + 1 - keepLatest);
    return {backup: name, rows, deletedRows, logicalBytes, storedBytes, beyondKept};
  } finally {
    await writer.close();
  }
}

function requireOwnDatabase(
  vault: VaultReader,
  source: TableSource,
  {definition, backups}: LiveCollection,
  type: BackupType,
): Promise<void> {
  const {id: owner, name: collection} = definition;
  const statement = adoptingStatement(collection, type);
  return requireDatabase(vault, source, {collection, owner, backups, statement});
}

type Content = {
  tables: readonly TableBackup[];
  objects: readonly SchemaObject[];
  streams: StreamTable;
  source: BackupBody['source'];
  takenAt: string;
  mark: string | undefined;
  rows: number;
  deletedRows: number;
  meter: Meter;
};

/** One for each reason: a database with virtual tables has many tables that are taken whole for the same one. */
function wholeNotices(whole: ReadonlyMap<TableName, string>): string[] {
  const tablesOf = new Map<string, TableName[]>();
  for (const [table, reason] of whole) tablesOf.set(reason, [...(tablesOf.get(reason) ?? []), table]);
  return [...tablesOf].map(([reason, tables]) => `each increment takes all rows of ${tables.join(', ')}: ${reason}`);
}

/** Reads one snapshot into the vault; the source is free again when this returns. */
async function copyTables(
  tools: WorkTools & {vault: Vault; source: TableSource},
  writer: VaultWriter,
  live: LiveCollection,
  name: BackupName,
  parent: Backup | undefined,
): Promise<Content> {
  const {vault, source, signal} = tools;
  const {definition} = live;
  const members = await memberTables(definition, source);
  const {tables, whole} = members;
  for (const sentence of await leftBehind(definition, source)) tools.notice(sentence);
  for (const notice of wholeNotices(whole)) tools.notice(notice);
  if (parent !== undefined) requireSameMembers(parent, members);
  const earlier = parent ?? (await readEarlier(vault, live));
  const snapshot = await source.snapshot({
    tables,
    objects: definition.members.kind === 'database',
    omitIndexes: definition.settings.omitIndexes,
    ...(definition.settings.incremental ? {track: {owner: definition.id}, whole: [...whole.keys()]} : {}),
    ...(parent === undefined ? {} : {since: sinceOf(parent, definition.id)}),
    signal,
    notice: tools.notice,
  });
  try {
    const takenAt = new Date(tools.nowMicros() / 1000).toISOString();
    const meter = startMeter(tools, {
      ...(parent === undefined ? {bytesTotal: await estimatedBytes(snapshot, tables)} : {}),
      itemsTotal: tables.length,
    });
    const streams = new StreamTable();
    const sink: LayerSink = {writer, streams, backup: name, observe: meter.bytes};
    const copied: TableBackup[] = [];
    for (const schema of snapshot.schemas) {
      signal.throwIfAborted();
      const layers =
        parent === undefined || whole.has(schema.name)
          ? [await baseLayer(vault, sink, snapshot, schema.name, earlier)]
          : await deltaLayers(vault, sink, snapshot, schema.name, parent);
      copied.push({schema, layers, ...(whole.has(schema.name) ? {whole: true} : {})});
      meter.item();
    }
    const own = copied.flatMap((table) => table.layers).filter((layer) => layer.backup === name);
    return {
      tables: copied,
      objects: snapshot.objects,
      streams,
      takenAt,
      source: {...(await nameDatabase(source)), database: snapshot.database},
      mark: snapshot.mark,
      rows: own.reduce((sum, layer) => sum + layer.rows, 0),
      // A key with a NULL in it can have several rows: then there are more rows than keys.
      deletedRows: own.reduce(
        (sum, layer) => sum + (layer.kind === 'delta' ? Math.max(0, layer.keys - layer.rows) : 0),
        0,
      ),
      meter,
    };
  } finally {
    await snapshot.close();
  }
}

async function estimatedBytes(snapshot: Snapshot, tables: readonly TableName[]): Promise<number> {
  let sum = 0;
  for (const table of tables) sum += await snapshot.estimatedBytes(table);
  return sum;
}

/** What a full backup may resemble. A damaged one is no reason to take none: it is what the new one is for. */
async function readEarlier(vault: VaultReader, {definition, backups}: LiveCollection): Promise<Backup | undefined> {
  const newest = backups.at(-1);
  return newest === undefined ? undefined : unlessUnreadable(readBackup(vault, definition.name, newest));
}

async function baseLayer(
  vault: VaultReader,
  sink: LayerSink,
  snapshot: Snapshot,
  table: TableName,
  earlier: Backup | undefined,
) {
  const previous = earlier === undefined ? undefined : await unlessDamaged(readPreviousBase(vault, earlier, table));
  return writeBase(sink, snapshot, table, previous);
}

async function deltaLayers(
  vault: VaultReader,
  sink: LayerSink,
  snapshot: Snapshot,
  table: TableName,
  parent: Backup,
): Promise<readonly Layer[]> {
  const changes = await snapshot.changes(table, parent.body.mark!);
  if (changes === 'rebase') return [await baseLayer(vault, sink, snapshot, table, parent)];
  const before = parent.body.tables.find((entry) => entry.schema.name === table)!;
  const adopted = before.layers.map((layer) => sink.streams.adopt(layer, parent.streams));
  const delta = await writeDelta(sink, changes);
  return delta === undefined ? adopted : [...adopted, delta];
}

function stillFree(request: BackupRequest, taken: readonly BackupName[]): boolean {
  return taken.every((name) => name.slice(0, 15) < request.name.slice(0, 15));
}
