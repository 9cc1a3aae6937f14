import {startMeter, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Choice, PublishedTable, StoredBase, TableName, TableSource} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {type ReadableCollection, requireReadable} from '../stored/folder.ts';
import {storedBaseOf} from '../stored/layers.ts';
import {type Backup, readBackup, type TableBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {restoredParts} from './choice.ts';
import {bytesToLoad, loadLayer, loadTrees} from './load-layer.ts';

export type RestoreRequest = {
  collection: string;
  backup: BackupName;
  /** What of the backup; absent: everything. */
  choice?: Choice | undefined;
  /** Names the staging tables, which a crash leaves in the source. */
  stagingId: string;
  check: 'quick' | 'full';
};

export type RestoreReport = {
  backup: BackupName;
  rows: number;
  logicalBytes: number;
  tables: number;
  published: readonly PublishedTable[];
};

/**
 * Executes a plan: loads the base and the deltas of every table into staging, then publishes all tables together, or
 * none.
 */
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
  const parts = restoredParts(backup, request.choice);
  const tables = parts.tables.map((table) => table.backup);
  for (const sentence of request.choice?.notices ?? []) tools.notice(sentence);
  const bases = new Map<TableName, StoredBase>();
  for (const {schema, layers} of tables) {
    const base = storedBaseOf(layers);
    if (base !== undefined) bases.set(schema.name, base);
  }
  const renamed = new Map(
    parts.tables.flatMap(({chosen}) => (chosen.as === undefined ? [] : [[chosen.name, chosen.as] as const])),
  );
  const staging = await source.stage(
    tables.map((table) => table.schema),
    {id: request.stagingId, database: backup.body.source.database, objects: parts.objects, bases, published: renamed},
  );
  try {
    const logicalBytes = tables.reduce((sum, table) => sum + bytesToLoad(staging, backup, table), 0);
    const meter = startMeter(tools, {bytesTotal: logicalBytes, itemsTotal: tables.length});
    const target = {vault, staging, meter, signal};
    for (const table of tables) await loadTrees(target, backup, table);
    for (const {schema, layers} of tables) {
      for (const layer of layers) await loadLayer(target, backup, schema.name, layer);
      meter.item();
    }
    const published = await staging.finish({
      check: request.check,
      signal,
      progress: (phase) => tools.progress({...meter.state(), phase}),
      notice: tools.notice,
    });
    requireCounts(tables, new Map(published.map((table) => [table.name, table.rows])));
    signal.throwIfAborted();
    tools.progress({...meter.state(), phase: 'Publish'});
    const resume = request.choice === undefined ? await resumption(live, backup, source) : undefined;
    await staging.publish({resume, signal, notice: tools.notice});
    const rows = published.reduce((sum, table) => sum + table.rows, 0);
    return {backup: backup.body.backup, rows, logicalBytes, tables: tables.length, published};
  } finally {
    // After a publish, nothing is left to discard.
    await staging.discard();
  }
}

/**
 * The row count of a table without deltas is known. With deltas it is not, and the database's own check must
 * suffice.
 */
function requireCounts(tables: readonly TableBackup[], counts: ReadonlyMap<string, number>): void {
  for (const {schema, layers} of tables) {
    const base = layers[0];
    if (layers.length !== 1 || base?.kind !== 'base' || counts.get(schema.name) === base.rows) continue;
    throw new BkpError(
      'OBJECT_DAMAGED',
      `table ${schema.name} was restored with ${counts.get(schema.name)} rows instead of ${base.rows}`,
      {
        next: 'restore another backup, and report this',
        context: {table: schema.name},
      },
    );
  }
}

/** Increments can continue the chain if its newest backup is restored into the database that it was taken from. */
async function resumption(
  live: ReadableCollection,
  backup: Backup,
  source: TableSource,
): Promise<{owner: string; mark: string} | undefined> {
  const {definition, backups} = live;
  const {mark, source: from} = backup.body;
  const identity = await source.identity();
  const isSameDatabase = identity === undefined ? from.description === source.description : from.identity === identity;
  const isNewest = backups.at(-1) === backup.body.backup;
  return definition?.settings.incremental && mark !== undefined && isNewest && isSameDatabase
    ? {owner: definition.id, mark}
    : undefined;
}
