import {startMeter, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Choice, MergedTable, MergeMode, PublishedTable, TableName, TableSource} from '../../sources/index.ts';
import {endDecoding, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {type ReadableCollection, requireReadable} from '../stored/folder.ts';
import {basesOf, recordsBaseOf} from '../stored/layers.ts';
import {type Backup, readBackup, type TableBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {type RestoredParts, restoredParts} from './choice.ts';
import type {MissingPart} from './damage.ts';
import {AppliedSegments, bytesPresent, bytesToLoad, loadLayer, loadTrees} from './load-layer.ts';
import {restoreIntact} from './partial.ts';
import {RestorePhases} from './phases.ts';
import {planId} from './plan-id.ts';
import {requireContent, tablesWithContent} from './require-content.ts';

export type RestoreRequest = {
  collection: string;
  backup: BackupName;
  /** What of the backup; absent: everything. */
  choice?: Choice | undefined;
  /** Change the rows of tables that exist. Absent: create the tables. */
  mode?: MergeMode | undefined;
  /** With a mode: count what it would do, and change nothing. */
  dryRun?: boolean | undefined;
  /** Restore what is not damaged, and name the rest. Default false. */
  partial?: boolean | undefined;
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
  /** With a mode: what was done with the rows of each table. */
  merged?: readonly MergedTable[];
  /** What the backup has and a partial restore cannot bring, and content of views that stay empty. Never empty. */
  missing?: readonly MissingPart[];
};

type RestoreTools = WorkTools & {vault: VaultReader; source: TableSource};

/**
 * Executes a plan: loads the base and the deltas of every table into staging, then publishes all tables together, or
 * none.
 *
 * A partial restore begins like any other. Only when something turns out to be damaged, it reads all that is left, so
 * that it knows every table that cannot come, and begins again without them: a table is restored whole or not at all.
 */
export async function restoreBackup(tools: RestoreTools, request: RestoreRequest): Promise<RestoreReport> {
  const {vault, source} = tools;
  const live = await requireReadable(vault, request.collection);
  const backup = await readBackup(
    vault,
    request.collection,
    await findBackup(vault, {collection: request.collection, backups: live.backups, point: request.backup}),
  );
  const parts = restoredParts(backup, request.choice);
  const {excepted} = backup.body;
  if (excepted !== undefined && request.choice === undefined)
    tools.notice(`not in the backup, by EXCEPT: ${excepted.join(', ')}`);
  if (request.choice === undefined && request.mode === undefined) {
    for (const sentence of source.lacking?.(backup.body.source.database) ?? []) tools.notice(sentence);
  }
  if (request.mode === undefined) for (const sentence of request.choice?.notices ?? []) tools.notice(sentence);
  const restore = (some: RestoredParts, isWhole: boolean) =>
    restoreParts(tools, {live, backup, parts: some, isWhole}, request);
  const isWhole = request.choice === undefined;
  if (!request.partial) return restore(parts, isWhole);
  return restoreIntact(tools, backup, parts, (intact) =>
    restore(intact, isWhole && intact.tables.length === parts.tables.length),
  );
}

/** @param what.isWhole everything in the backup comes */
async function restoreParts(
  tools: RestoreTools,
  what: {live: ReadableCollection; backup: Backup; parts: RestoredParts; isWhole: boolean},
  request: RestoreRequest,
): Promise<RestoreReport> {
  const {vault, source, signal} = tools;
  const {live, backup, parts, isWhole} = what;
  const {mode, dryRun = false} = request;
  const tables = parts.tables.map((table) => table.backup);
  const bases = basesOf(tables);
  const renamed = new Map(
    parts.tables.flatMap(({chosen}) => (chosen.as === undefined ? [] : [[chosen.name, chosen.as] as const])),
  );
  const staging = await source.stage(
    tables.map((table) => table.schema),
    {
      ...{id: request.stagingId, database: backup.body.source.database, objects: parts.objects},
      ...{bases, published: renamed, mode, plan: planId(vault, backup, {parts, mode})},
    },
  );
  let isLeft = false;
  try {
    const logicalBytes = tables.reduce((sum, table) => sum + bytesToLoad(staging, backup, table), 0);
    const phases = new RestorePhases({
      check: request.check,
      builds: tables.some(({layers}) => layers.length > 1 || recordsBaseOf(layers) === undefined),
      into: await whatGetsThem(source, mode),
    });
    let isLoaded = false;
    const loading: WorkTools['progress'] = (state) => {
      if (isLoaded) return tools.progress({...state, phase: 'Indexes', whole: phases.whole('Indexes')});
      const share = logicalBytes === 0 ? 0 : Math.min(1, state.bytesDone / logicalBytes);
      tools.progress({...state, whole: phases.whole(state.phase, share)});
    };
    const applied = new AppliedSegments(staging);
    const completed = staging.completed?.() ?? new Set<TableName>();
    const isThere = ({schema}: TableBackup) => completed.has(schema.name);
    const presentOf = (table: TableBackup) =>
      isThere(table) ? bytesToLoad(staging, backup, table) : bytesPresent(staging, backup, table);
    const bytesDone = tables.reduce((sum, table) => sum + presentOf(table), applied.bytes);
    const meter = startMeter({progress: loading}, {bytesTotal: logicalBytes, itemsTotal: tables.length, bytesDone});
    const begin = (phase: string) => tools.progress({...meter.state(), phase, whole: phases.whole(phase)});
    const target = {vault, staging, meter, signal};
    for (const table of tables) await loadTrees(target, backup, table);
    const {concurrency = 1} = staging;
    // The largest tables first, so that none of them is left when all others are there.
    const size = (table: TableBackup) => bytesToLoad(staging, backup, table);
    let toLoad = tables.filter((table) => !isThere(table)).length;
    const ordered = concurrency === 1 ? tables : tables.toSorted((a, b) => size(b) - size(a));
    await forEachConcurrent(ordered, concurrency, async (table) => {
      signal.throwIfAborted();
      const {schema, layers} = table;
      if (!isThere(table)) {
        for (const layer of layers) await loadLayer({...target, applied}, backup, schema.name, layer);
        toLoad -= 1;
        // The indexes of the last tables are all that is left then.
        if (toLoad === 0 && staging.complete !== undefined) {
          isLoaded = true;
          begin('Indexes');
        }
        await staging.complete?.(schema.name, signal);
      }
      meter.item();
    });
    // A check has threads of its own, which would come to these.
    endDecoding();
    const published = await staging.finish({
      check: request.check,
      contentOf: tablesWithContent(tables),
      signal,
      progress: begin,
      notice: tools.notice,
    });
    requireContent(tables, published);
    signal.throwIfAborted();
    if (mode !== undefined) {
      begin('Merge');
      const merged = await staging.merge({dryRun, signal, notice: tools.notice});
      const rows = merged.reduce((sum, {inserted, updated}) => sum + inserted + updated, 0);
      return {backup: backup.body.backup, rows, logicalBytes, tables: tables.length, published, merged};
    }
    begin('Publish');
    const resume = isWhole ? await resumption(live, backup, source) : undefined;
    const missing: MissingPart[] = [];
    await staging.publish({resume, signal, notice: tools.notice, missing: (part) => missing.push(part)});
    const rows = published.reduce((sum, table) => sum + table.rows, 0);
    const report = {backup: backup.body.backup, rows, logicalBytes, tables: tables.length, published};
    return missing.length === 0 ? report : {...report, missing};
  } catch (error) {
    isLeft = storeIsAway(error) && !signal.aborted && ((await staging.leave?.()) ?? false);
    throw isLeft ? continuable(error as BkpError) : error;
  } finally {
    // After a publish, nothing is left to discard.
    if (!isLeft) await staging.discard();
  }
}

async function whatGetsThem(
  source: TableSource,
  mode: MergeMode | undefined,
): Promise<'file' | 'database' | 'server' | 'tables'> {
  if (mode !== undefined) return 'tables';
  if (source.abilities.beside === 'schema') return 'server';
  return (await source.origin()) === undefined ? 'file' : 'database';
}

const storeIsAway = (error: unknown) => error instanceof BkpError && error.code === 'STORE_UNAVAILABLE';

function continuable({code, message, cause, details, context, retryable}: BkpError): BkpError {
  return new BkpError(code, message, {
    ...{cause, details, context, retryable},
    next: 'when the store answers again, give the same statement: it continues with what was loaded',
  });
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
