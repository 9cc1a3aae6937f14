import {type Meter, newestReadable, startMeter, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Staging, TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {type ReadableCollection, requireReadable} from '../stored/folder.ts';
import {type Backup, type Layer, readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {readSegments} from '../stored/segments.ts';

export type RestoreRequest = {
  collection: string;
  backup: BackupName;
  /** Names what a crash leaves behind in the source. */
  stagingId: string;
  check: 'quick' | 'full';
};

export type RestoreReport = {backup: BackupName; rows: number; logicalBytes: number; tables: number};

/**
 * Refuses at once what can be refused at once; nothing is started or written.
 * @returns the backup that will be restored
 */
export async function planRestore(
  vault: VaultReader,
  source: TableSource,
  request: {collection: string; point: string | undefined},
): Promise<BackupName> {
  const live = await requireReadable(vault, request.collection);
  const backup = await findBackup(vault, {...request, backups: live.backups});
  try {
    await requireFreeTargets(source, await readBackup(vault, request.collection, backup));
  } catch (error) {
    throw isDamage(error) ? await withReadable(vault, request.collection, live.backups, error) : error;
  }
  return backup;
}

/** The same error, with the newest backup that can be read as the next step, if there is one. */
async function withReadable(
  vault: VaultReader,
  collection: string,
  backups: readonly BackupName[],
  error: BkpError,
): Promise<BkpError> {
  const newest = await newestReadable(backups, (backup) => readBackup(vault, collection, backup));
  if (newest === undefined) return error;
  return new BkpError(error.code, error.message, {
    cause: error.cause,
    next: `the newest backup that can be read: RESTORE ${quoteName(collection)} AT '${newest.body.backup}'`,
    context: error.context,
  });
}

/** Base and deltas of every table into staging, then all tables at once: all of it, or nothing. */
export async function restoreBackup(
  tools: WorkTools & {vault: VaultReader; source: TableSource},
  request: RestoreRequest,
): Promise<RestoreReport> {
  const {vault, source, signal} = tools;
  const live = await requireReadable(vault, request.collection);
  const backup = await readBackup(
    vault,
    request.collection,
    await findBackup(vault, {collection: request.collection, backups: live.backups, point: request.backup}),
  );
  await requireFreeTargets(source, backup);
  const {tables} = backup.body;
  const logicalBytes = tables
    .flatMap((table) => table.layers)
    .flatMap((layer) => dataStreams(layer))
    .reduce((sum, stream) => sum + backup.streams[stream]!.sizeBytes, 0);
  const meter = startMeter(tools, {bytesTotal: logicalBytes, itemsTotal: tables.length});
  const staging = await source.stage(
    tables.map((table) => table.schema),
    {id: request.stagingId, database: backup.body.source.database, objects: backup.body.objects ?? []},
  );
  try {
    for (const {schema, layers} of tables) {
      for (const layer of layers) await loadLayer({vault, staging, meter, signal}, backup, schema.name, layer);
      meter.item();
    }
    const published = await staging.finish({
      check: request.check,
      signal,
      progress: (phase) => tools.progress({...meter.state(), phase}),
      notice: tools.notice,
    });
    requireCounts(backup, new Map(published.map((table) => [table.name, table.rows])));
    signal.throwIfAborted();
    tools.progress({...meter.state(), phase: 'Publish'});
    const resume = await resumption(live, backup, source);
    await staging.publish({...(resume === undefined ? {} : {resume}), signal, notice: tools.notice});
    const rows = published.reduce((sum, table) => sum + table.rows, 0);
    return {backup: backup.body.backup, rows, logicalBytes, tables: tables.length};
  } finally {
    // After a publish nothing is left to discard.
    await staging.discard();
  }
}

async function loadLayer(
  to: {vault: VaultReader; staging: Staging; meter: Meter; signal: AbortSignal},
  backup: Backup,
  table: string,
  layer: Layer,
): Promise<void> {
  const each = async (
    stream: Parameters<typeof readSegments>[2],
    put: (segment: Uint8Array) => Promise<number>,
    rows: number,
  ) => {
    let loaded = 0;
    for await (const segment of readSegments(to.vault, backup.streams, stream, to.signal)) {
      to.signal.throwIfAborted();
      loaded += await put(segment);
      to.meter.bytes(segment.byteLength);
    }
    if (loaded !== rows) {
      throw new BkpError(
        'OBJECT_DAMAGED',
        `table ${table}: a layer of ${layer.backup} holds ${loaded} rows instead of ${rows}`,
        {
          next: 'restore another backup, and report this: the bytes are what was written',
          context: {table, backup: layer.backup},
        },
      );
    }
  };
  if (layer.kind === 'base') {
    await each(layer.data, (segment) => to.staging.load(table, segment), layer.rows);
    return;
  }
  // Every touched key goes before any row comes: so no row meets an old one on another unique index.
  await each(layer.keyData, (segment) => to.staging.removeKeys(table, segment), layer.keys);
  await each(layer.rowData, (segment) => to.staging.load(table, segment), layer.rows);
}

/** A table that is only a base has a known count; after deltas the database's own check has the last word. */
function requireCounts(backup: Backup, counts: ReadonlyMap<string, number>): void {
  for (const {schema, layers} of backup.body.tables) {
    const base = layers[0];
    if (layers.length !== 1 || base?.kind !== 'base' || counts.get(schema.name) === base.rows) continue;
    throw new BkpError(
      'OBJECT_DAMAGED',
      `table ${schema.name} came back with ${counts.get(schema.name)} rows instead of ${base.rows}`,
      {
        next: 'restore another backup, and report this',
        context: {table: schema.name},
      },
    );
  }
}

/** The chain can go on when its newest backup comes back into the database that it was taken from. */
async function resumption(
  live: ReadableCollection,
  backup: Backup,
  source: TableSource,
): Promise<{owner: string; mark: string} | undefined> {
  const {definition, backups} = live;
  const {mark, source: from} = backup.body;
  const identity = await source.identity();
  const sameDatabase = identity === undefined ? from.description === source.description : from.identity === identity;
  const newest = backups.at(-1) === backup.body.backup;
  return definition?.settings.incremental && mark !== undefined && newest && sameDatabase
    ? {owner: definition.id, mark}
    : undefined;
}

async function requireFreeTargets(source: TableSource, backup: Backup): Promise<void> {
  const {tables, objects = []} = backup.body;
  const names = [...tables.map(({schema}) => schema.name), ...objects.map(({name}) => name)];
  const inTheWay = (await source.describe(names)).filter((table) => table.state !== 'absent');
  if (inTheWay.length === 0) return;
  const paths = inTheWay.map((table) => `/Root/${table.name}`).join(', ');
  throw new BkpError('TABLE_EXISTS', `path exist: ${paths}`, {
    cause: `RESTORE makes its tables anew and touches none that is there; nothing was restored`,
    next: `restore into another database with --source; or drop what is in the way (a table that is only renamed leaves the names of its indexes and triggers taken)`,
  });
}

function dataStreams(layer: Layer): readonly number[] {
  return layer.kind === 'base' ? [layer.data.stream] : [layer.keyData.stream, layer.rowData.stream];
}
