import {
  type ChunkUses,
  type CoverageFigures,
  coverageFigures,
  goneTexts,
  type Heal,
  readableChunkIds,
  type VerifyExtent,
  verifyEach,
  type WorkTools,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {findBackup, requireNotGone} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {streamsOf} from '../stored/layers.ts';
import {type Backup, readBackup} from '../stored/manifest.ts';
import {type BackupName, collectionPrefix} from '../stored/names.ts';

export type VerifyRequest = {
  collection: string;
  /** Absent: every backup of the collection. */
  backup?: BackupName;
} & VerifyExtent;

/** `logicalBytes` is absent if only a part was read. */
export type VerifyReport = CoverageFigures & {backups: number; logicalBytes?: number};

export async function planVerify(
  vault: VaultReader,
  request: {collection: string; point: string | undefined},
): Promise<BackupName | undefined> {
  const live = await requireReadable(vault, request.collection);
  const {collection, point} = request;
  if (point !== undefined) return findBackup(vault, {collection, backups: live.backups, point});
  if (live.backups.length === 0) requireNotGone(vault, collection, Number.POSITIVE_INFINITY);
  if (live.backups.length > 0 || live.damage !== undefined) return undefined;
  throw new BkpError('BAD_REQUEST', `Nothing to verify: collection ${request.collection} has no backups`, {
    next: `BACKUP ${quoteName(request.collection)}`,
  });
}

/**
 * Checks everything that the backups need.
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault: which tables of which backups, chunk, pack,
 *   what is wrong
 */
export async function verifyBackups(
  tools: WorkTools & {vault: VaultReader; heal?: Heal | undefined},
  {collection, backup, ...extent}: VerifyRequest,
): Promise<VerifyReport> {
  // Copies on this machine prove nothing about the store.
  const vault = tools.vault.uncached();
  const {backups, damage} = await requireReadable(vault, collection);
  const verified = await verifyEach({...tools, vault}, extent, {
    subject: collection,
    heal: tools.heal,
    names: backup === undefined ? backups : [await findBackup(vault, {collection, backups, point: backup})],
    labelOf: (name) => `${collection}/${name}`,
    read: (name) => readBackup(vault, collection, name),
    streamsOf: ({streams}) => streams,
    noteUses: async (read, uses, label) => {
      await noteTables(vault, read, uses, label);
      return undefined;
    },
    faults: [
      ...(damage === undefined ? [] : [`the definition of ${collection}: ${damage.message}`]),
      ...(backup === undefined ? goneTexts(vault, collectionPrefix(collection)) : []),
    ],
    next:
      `backups that are not named here are complete; VERIFY ${quoteName(collection)} WITH (HEAL='true') brings back ` +
      "what the profile's other store has, and HEAL='fs::root=…' what another one has; a new full backup stores " +
      'again what the database still has',
  });
  const logicalBytes = verified.backups
    .flatMap(({streams}) => streams)
    .reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
  return {
    backups: verified.backups.length,
    ...(extent.budget === undefined ? {logicalBytes} : {}),
    ...coverageFigures(verified),
  };
}

async function noteTables(vault: VaultReader, {body, streams}: Backup, uses: ChunkUses, label: string): Promise<void> {
  if (uses.wanted.size === 0) return;
  for (const {schema, layers} of body.tables) {
    const note = uses.noterOf({part: schema.name, backup: label});
    for (const stream of layers.flatMap(streamsOf)) {
      for (const chunk of await readableChunkIds(vault, streams[stream]!)) note(chunk);
    }
  }
}
