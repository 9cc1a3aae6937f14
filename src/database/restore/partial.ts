import type {WorkTools} from '../../backups/index.ts';
import type {FileTarget} from '../../sources/index.ts';
import type {ChunkId, VaultReader} from '../../vault/index.ts';
import {readCatalog} from '../stored/catalog.ts';
import {readDatabaseBackup} from '../stored/manifest.ts';
import {DamagedFile} from './batch.ts';
import {type MissingTable, recipeOf} from './known-missing.ts';
import {choose, type DatabaseRestorePlan} from './plan.ts';
import {type DatabaseRestoreReport, restoreFiles} from './restore.ts';

type Plan = Pick<DatabaseRestorePlan, 'instance' | 'backup' | 'tables' | 'optional'>;

type Tools = WorkTools & {
  vault: VaultReader;
  /** @param tables only these; absent: all */
  openTarget: (tables: readonly string[] | undefined) => Promise<FileTarget>;
};

/**
 * Restores every table of a plan that is not damaged, and none of the others. It begins like any other restore; only
 * when something turns out to be damaged, it reads everything, and continues with the tables that are intact.
 * @throws BkpError the damage if no table is intact, or if it is in what belongs to no table
 */
export async function restoreIntactTables(
  tools: Tools,
  plan: Plan,
): Promise<DatabaseRestoreReport & {missing?: readonly MissingTable[]}> {
  try {
    return await restoreFiles({...tools, target: await tools.openTarget(plan.tables)}, plan);
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    const {tables, missing} = await intactTables(tools, plan);
    if (missing.length === 0 || tables.length === 0) throw error.reported;
    const target = await tools.openTarget(tables);
    return {...(await restoreFiles({...tools, target}, {...plan, tables}).catch(reported)), missing};
  }
}

const reported = (error: unknown): never => {
  throw error instanceof DamagedFile ? error.reported : error;
};

/** @throws BkpError for damage in a file of no table */
async function intactTables(
  {vault, signal, progress}: Tools,
  plan: Plan,
): Promise<{tables: readonly string[]; missing: readonly MissingTable[]}> {
  const backup = await readDatabaseBackup(vault, plan.instance, plan.backup);
  const catalog = await readCatalog(vault, backup);
  const {files, database} = choose(backup, catalog, plan);
  // Copies on this machine prove nothing about the store.
  const {findings} = await vault.uncached().verify([recipeOf(catalog, files)], {
    level: 'data',
    signal,
    progress: (bytesDone, bytesTotal) => progress({phase: 'Damage', bytesDone, bytesTotal, itemsDone: 0}),
  });
  const faults = new Map<ChunkId, string>();
  for (const {chunk, needed = [], detail} of findings) {
    for (const id of chunk === undefined ? needed : [chunk]) faults.set(id, detail);
  }
  const missing = new Map<string, string>();
  for (const file of files) {
    const why = catalog.ids
      .range(file.firstChunk, file.chunks)
      .map((id) => faults.get(id))
      .find((fault) => fault !== undefined);
    // Without it no server starts: nothing can be restored, as without PARTIAL.
    if (why !== undefined && file.table === undefined) return {tables: [], missing: []};
    if (why !== undefined && !missing.has(file.table!)) missing.set(file.table!, `${file.path}: ${why}`);
  }
  const tables = database.tables.map(({name}) => name).filter((name) => !missing.has(name));
  return {tables, missing: [...missing].map(([name, why]) => ({name, why}))};
}
