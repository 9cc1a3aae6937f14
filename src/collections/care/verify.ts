import type {WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {ChunkId, Finding, Recipe, VaultReader, VerifyLevel} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {type Backup, readBackup, streamsOf} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

export type VerifyRequest = {
  collection: string;
  /** Absent: every backup of the collection. */
  backup?: BackupName;
  level: VerifyLevel;
};

export type VerifyReport = {backups: number; logicalBytes: number};

/** More faults than this are counted, not listed: the first ones tell what to do. */
const listedFaults = 50;

export async function planVerify(
  vault: VaultReader,
  request: {collection: string; point: string | undefined},
): Promise<BackupName | undefined> {
  const live = await requireReadable(vault, request.collection);
  const {collection, point} = request;
  if (point !== undefined) return findBackup(vault, {collection, backups: live.backups, point});
  if (live.backups.length > 0 || live.damage !== undefined) return undefined;
  throw new BkpError('BAD_REQUEST', `Nothing to verify: collection ${request.collection} has no backups`, {
    next: `BACKUP ${quoteName(request.collection)}`,
  });
}

/**
 * Reads all that the backups need.
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault: which backup and table, chunk, pack, what is wrong
 */
export async function verifyBackups(
  tools: WorkTools & {vault: VaultReader},
  request: VerifyRequest,
): Promise<VerifyReport> {
  const {signal} = tools;
  // What is checked is what lies in the store, never a copy of it.
  const vault = tools.vault.uncached();
  const live = await requireReadable(vault, request.collection);
  const names =
    request.backup === undefined
      ? live.backups
      : [await findBackup(vault, {collection: request.collection, backups: live.backups, point: request.backup})];
  const faults: string[] =
    live.damage === undefined ? [] : [`the definition of ${request.collection}: ${live.damage.message}`];
  const backups: Backup[] = [];
  for (const name of names) {
    try {
      backups.push(await readBackup(vault, request.collection, name));
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      faults.push(`${request.collection}/${name}: ${error.message}`);
    }
  }
  const recipes = backups.flatMap((backup) => backup.streams);
  const findings = await vault.verify(recipes, {
    level: request.level,
    signal,
    progress: (bytesDone, bytesTotal) =>
      tools.progress({phase: 'Check', bytesDone, bytesTotal, itemsDone: 0, itemsTotal: backups.length}),
  });
  if (findings.length > 0) faults.push(...(await nameFindings(vault, request.collection, backups, findings)));
  if (faults.length > 0) throw damage(request.collection, faults);
  return {backups: backups.length, logicalBytes: recipes.reduce((sum, recipe) => sum + recipe.sizeBytes, 0)};
}

function damage(collection: string, faults: readonly string[]): BkpError {
  const more = faults.length - listedFaults;
  return new BkpError(
    'DAMAGE_FOUND',
    `${collection}: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'} found`,
    {
      details: more > 0 ? [...faults.slice(0, listedFaults), `… and ${more} more`] : faults,
      next: 'backups that are not named here are whole; COPY BACKUP COLLECTION into this store, from one that has it whole, brings back what is lost; a new full backup stores anew what the database still has',
    },
  );
}

/** Says for each finding which backups and tables it hurts. */
async function nameFindings(
  vault: VaultReader,
  collection: string,
  backups: readonly Backup[],
  findings: readonly Finding[],
): Promise<readonly string[]> {
  const chunksOf = ({chunk, needed}: Finding) => (chunk === undefined ? (needed ?? []) : [chunk]);
  const wanted = new Set(findings.flatMap(chunksOf));
  const uses = new Map<ChunkId, Map<string, BackupName[]>>();
  const note = (chunk: ChunkId, table: string, backup: BackupName) => {
    const tables = uses.get(chunk) ?? new Map<string, BackupName[]>();
    uses.set(chunk, tables);
    const seen = tables.get(table) ?? [];
    tables.set(table, seen);
    if (seen.at(-1) !== backup) seen.push(backup);
  };
  for (const {body, streams} of backups) {
    for (const table of body.tables) {
      for (const stream of table.layers.flatMap(streamsOf)) {
        for (const chunk of await readableChunkIds(vault, streams[stream]!)) {
          if (wanted.has(chunk)) note(chunk, table.schema.name, body.backup);
        }
      }
    }
  }
  return findings.map((finding) => {
    const tablesOf = new Map<string, Set<string>>();
    for (const [table, names] of chunksOf(finding).flatMap((chunk) => [...(uses.get(chunk) ?? [])])) {
      const hurt = names.map((name) => `${collection}/${name}`).join(', ');
      tablesOf.set(hurt, (tablesOf.get(hurt) ?? new Set()).add(table));
    }
    const hurt = [...tablesOf].map(([names, tables]) => `${[...tables].join(', ')} of ${names}`);
    return [...(hurt.length === 0 ? [] : [hurt.join(' and ')]), finding.detail].join(': ');
  });
}

/** A long recipe whose own list is damaged has no ids to tell; that list's chunks are then what is named. */
async function readableChunkIds(vault: VaultReader, recipe: Recipe): Promise<readonly ChunkId[]> {
  try {
    return [...recipe.chunks, ...(recipe.depth === 0 ? [] : await vault.chunkIds(recipe))];
  } catch (error) {
    if (error instanceof BkpError) return recipe.chunks;
    throw error;
  }
}
