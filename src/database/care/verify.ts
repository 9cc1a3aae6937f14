import {
  type ChunkUses,
  type CoverageFigures,
  coverageFigures,
  goneError,
  goneTexts,
  type Heal,
  readableChunkIds,
  type VerifyExtent,
  verifyEach,
  type WorkTools,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {readCatalog} from '../stored/catalog.ts';
import {listInstances} from '../stored/instance.ts';
import {type DatabaseBackup, readDatabaseBackup} from '../stored/manifest.ts';
import {backupPrefix, type DatabaseBackupName, instancePrefix} from '../stored/names.ts';

export type DatabaseVerifyRequest = {
  /** Absent: every instance of the store. */
  instance?: string;
  /** Absent: every backup. */
  backup?: DatabaseBackupName;
} & VerifyExtent;

/** `logicalBytes` is absent if only a part was read. */
export type DatabaseVerifyReport = CoverageFigures & {backups: number; logicalBytes?: number};

/**
 * Checks everything that the backups need.
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault: which files of which backups, chunk, pack,
 *   what is wrong | `BACKUP_NOT_FOUND`
 */
export async function verifyDatabaseBackups(
  tools: WorkTools & {vault: VaultReader; heal?: Heal | undefined},
  request: DatabaseVerifyRequest,
): Promise<DatabaseVerifyReport> {
  // Copies on this machine prove nothing about the store.
  const vault = tools.vault.uncached();
  const verified = await verifyEach({...tools, vault}, request, {
    subject: vault.location,
    heal: tools.heal,
    names: await chosen(vault, request),
    labelOf: ({instance, backup}) => `${instance}/${backup}`,
    read: ({instance, backup}) => readDatabaseBackup(vault, instance, backup),
    streamsOf: ({data, list}) => [data, list],
    faults: request.backup === undefined ? goneTexts(vault, prefixOf(request)) : [],
    noteUses: (backup, uses, label) => noteFiles(vault, backup, uses, label),
    next:
      'backups that are not named here are complete; the next backup stores again what is missing; ' +
      "HEAL='fs::root=…' brings back what a copy of the store still has",
  });
  const logicalBytes = verified.backups.reduce((sum, {body}) => sum + body.bytes, 0);
  return {
    backups: verified.backups.length,
    ...(request.budget === undefined ? {logicalBytes} : {}),
    ...coverageFigures(verified),
  };
}

async function chosen(vault: VaultReader, {instance, backup}: DatabaseVerifyRequest) {
  const all = (await listInstances(vault)).flatMap(({name, backups}) =>
    backups.map((one) => ({instance: name, backup: one})),
  );
  const found = all.filter(
    (one) => (instance ?? one.instance) === one.instance && (backup ?? one.backup) === one.backup,
  );
  if (found.length > 0) return found;
  const [gone] = backup === undefined ? vault.gone(prefixOf({instance})) : [];
  if (gone !== undefined) throw goneError(vault.location, gone, undefined);
  throw new BkpError('BACKUP_NOT_FOUND', `Nothing to verify: ${vault.location} has no such database backup`, {
    next: 'SELECT * FROM backups() lists them',
  });
}

const prefixOf = ({instance}: {instance?: string | undefined}) =>
  instance === undefined ? backupPrefix : instancePrefix(instance);

/** @returns what is wrong with the file list */
async function noteFiles(
  vault: VaultReader,
  backup: DatabaseBackup,
  uses: ChunkUses,
  label: string,
): Promise<string | undefined> {
  if (uses.wanted.size > 0) await noteLists(vault, backup, uses, label);
  try {
    const {files, ids} = await readCatalog(vault, backup);
    if (uses.wanted.size === 0) return undefined;
    for (const {path, firstChunk, chunks} of files) {
      const note = uses.noterOf({part: path, backup: label});
      for (let n = 0; n < chunks; n++) note(ids.at(firstChunk + n));
    }
    return undefined;
  } catch (error) {
    if (error instanceof BkpError) return error.message;
    throw error;
  }
}

async function noteLists(vault: VaultReader, {list, data}: DatabaseBackup, uses: ChunkUses, label: string) {
  for (const [recipe, part] of [
    [list, 'the file list'],
    [data, 'the list of chunks'],
  ] as const) {
    const note = uses.noterOf({part, backup: label});
    // Not down to the chunks of the stream: millions of ids do not fit into memory as strings.
    for (const chunk of await readableChunkIds(vault, recipe, recipe.depth - 1)) note(chunk);
  }
}
