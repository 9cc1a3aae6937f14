import type {WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {ChunkId, Finding, Recipe, VaultReader, VerifyLevel} from '../../vault/index.ts';
import {readCatalog} from '../stored/catalog.ts';
import {listInstances} from '../stored/instance.ts';
import {type DatabaseBackup, readDatabaseBackup} from '../stored/manifest.ts';
import type {DatabaseBackupName} from '../stored/names.ts';

export type DatabaseVerifyRequest = {
  /** Absent: every instance of the store. */
  instance?: string;
  /** Absent: every backup. */
  backup?: DatabaseBackupName;
  level: VerifyLevel;
};

export type DatabaseVerifyReport = {backups: number; logicalBytes: number};

/** More faults than this are counted, not listed: the first ones tell what to do. */
const listedFaults = 50;

/**
 * Reads all that the backups need.
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault: which file of which backups, chunk, pack, what is wrong |
 *   `BACKUP_NOT_FOUND`
 */
export async function verifyDatabaseBackups(
  tools: WorkTools & {vault: VaultReader},
  request: DatabaseVerifyRequest,
): Promise<DatabaseVerifyReport> {
  const {signal} = tools;
  // What is checked is what lies in the store, never a copy of it.
  const vault = tools.vault.uncached();
  const faults: string[] = [];
  const backups: DatabaseBackup[] = [];
  for (const {instance, backup} of await chosen(vault, request)) {
    try {
      backups.push(await readDatabaseBackup(vault, instance, backup));
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      faults.push(`${instance}/${backup}: ${error.message}`);
    }
  }
  const recipes = backups.flatMap(({data, list}) => [data, list]);
  const findings = await vault.verify(recipes, {
    level: request.level,
    signal,
    progress: (bytesDone, bytesTotal) =>
      tools.progress({phase: 'Check', bytesDone, bytesTotal, itemsDone: 0, itemsTotal: backups.length}),
  });
  const wanted = new Set(findings.flatMap(chunksOf));
  const uses = new Map<ChunkId, Set<string>>();
  for (const backup of backups) {
    signal.throwIfAborted();
    const fault = await noteUses(vault, backup, wanted, uses);
    // Without a finding the list can be read: then it must also agree with the manifest.
    if (fault !== undefined && findings.length === 0) faults.push(`${nameOf(backup)}: ${fault}`);
  }
  faults.push(...findings.map((finding) => tell(finding, uses)));
  if (faults.length > 0) throw damage(vault, faults);
  return {backups: backups.length, logicalBytes: backups.reduce((sum, {body}) => sum + body.bytes, 0)};
}

async function chosen(vault: VaultReader, {instance, backup}: DatabaseVerifyRequest) {
  const all = (await listInstances(vault)).flatMap(({name, backups}) =>
    backups.map((one) => ({instance: name, backup: one})),
  );
  const found = all.filter(
    (one) => (instance ?? one.instance) === one.instance && (backup ?? one.backup) === one.backup,
  );
  if (found.length > 0) return found;
  throw new BkpError('BACKUP_NOT_FOUND', `Nothing to verify: ${vault.location} holds no such database backup`, {
    next: 'SELECT * FROM backups() lists them',
  });
}

/**
 * Notes which files of the backup use the wanted chunks.
 * @returns what is wrong with its file list
 */
async function noteUses(
  vault: VaultReader,
  backup: DatabaseBackup,
  wanted: ReadonlySet<ChunkId>,
  uses: Map<ChunkId, Set<string>>,
): Promise<string | undefined> {
  const note = (chunk: ChunkId, what: string) => {
    if (wanted.has(chunk)) uses.set(chunk, (uses.get(chunk) ?? new Set()).add(`${what} of ${nameOf(backup)}`));
  };
  for (const [recipe, what] of [
    [backup.list, 'the file list'],
    [backup.data, 'the list of chunks'],
  ] as const) {
    for (const chunk of await listChunks(vault, recipe)) note(chunk, what);
  }
  try {
    const {files, ids} = await readCatalog(vault, backup);
    if (wanted.size === 0) return undefined;
    for (const {path, firstChunk, chunks} of files) {
      for (let n = 0; n < chunks; n++) note(ids.at(firstChunk + n), path);
    }
    return undefined;
  } catch (error) {
    if (error instanceof BkpError) return error.message;
    throw error;
  }
}

/** Chunks of the recipe's own lists, and of a short stream its chunks; as far as they can be read. */
async function listChunks(vault: VaultReader, recipe: Recipe): Promise<readonly ChunkId[]> {
  if (recipe.depth < 2) return recipe.chunks;
  try {
    const lists = await vault.chunkIds({...recipe, depth: recipe.depth - 1});
    return [...recipe.chunks, ...lists];
  } catch (error) {
    if (error instanceof BkpError) return recipe.chunks;
    throw error;
  }
}

const chunksOf = ({chunk, needed}: Finding) => (chunk === undefined ? (needed ?? []) : [chunk]);

const nameOf = ({body}: DatabaseBackup) => `${body.instance}/${body.backup}`;

function tell(finding: Finding, uses: ReadonlyMap<ChunkId, ReadonlySet<string>>): string {
  const hurt = [...new Set(chunksOf(finding).flatMap((chunk) => [...(uses.get(chunk) ?? [])]))];
  const more = hurt.length > 5 ? ` and ${hurt.length - 5} more` : '';
  return [...(hurt.length === 0 ? [] : [hurt.slice(0, 5).join(', ') + more]), finding.detail].join(': ');
}

function damage(vault: VaultReader, faults: readonly string[]): BkpError {
  const more = faults.length - listedFaults;
  return new BkpError(
    'DAMAGE_FOUND',
    `${vault.location}: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'} found`,
    {
      details: more > 0 ? [...faults.slice(0, listedFaults), `… and ${more} more`] : faults,
      next: 'backups that are not named here are whole; the next backup stores anew what is missing',
    },
  );
}
