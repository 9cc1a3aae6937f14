import {BkpError} from '../../errors/index.ts';
import type {TableSource} from '../../sources/index.ts';
import type {WantedBackup} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type LiveCollection, requireCollection} from '../stored/folder.ts';
import {type BackupName, type BackupType, nextBackupName} from '../stored/names.ts';
import {adoptingStatement, requireDatabase} from './belongs.ts';
import {needsFull, requireChain} from './chain.ts';
import {memberTables, preflight} from './members.ts';

export type PlanRequest = {collection: string; adopt?: boolean | undefined; nowMicros: number};

/** `fullInstead`: why no increment is possible; present if one was asked for and a full backup is planned. */
export type PlannedBackup = {name: BackupName; type: BackupType; fullInstead?: string};

/**
 * Refuses what can be refused before any work starts; nothing is written.
 * @returns the name that the backup will have, unless another machine takes it first
 */
export async function planBackup(
  vault: VaultReader,
  source: TableSource,
  request: PlanRequest & {type: BackupType},
): Promise<BackupName> {
  return (await planWantedBackup(vault, source, request)).name;
}

/** As {@link planBackup}; also decides whether `INCREMENTAL OR FULL` becomes an increment. */
export async function planWantedBackup(
  vault: VaultReader,
  source: TableSource,
  {collection, type: wanted, adopt, nowMicros}: PlanRequest & {type: WantedBackup},
): Promise<PlannedBackup> {
  const live = await requireCollection(vault, collection, {recent: true});
  const {tables} = await memberTables(live.definition, source);
  await preflight(live.definition, source, tables);
  if (!adopt) await requireOwnDatabase(vault, source, live, wanted);
  const end = wanted === 'full' ? undefined : await endOfChain(vault, live);
  if (end !== undefined && wanted === 'incremental') throw end;
  const type = wanted === 'full' || end !== undefined ? 'full' : 'incremental';
  const name = nextBackupName(type, nowMicros, live.taken);
  return end === undefined ? {name, type} : {name, type, fullInstead: whyFull(end)};
}

/** Why no increment can continue the chain. @returns undefined if one can, as far as the store and the tables show */
async function endOfChain(vault: VaultReader, live: LiveCollection): Promise<BkpError | undefined> {
  try {
    await requireChain(vault, live);
    return undefined;
  } catch (error) {
    if (error instanceof BkpError && (error.code === 'BAD_REQUEST' || needsFull(error.code))) return error;
    throw error;
  }
}

/** The reason as a part of a sentence. */
export function whyFull({message, cause}: BkpError): string {
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}

/** @throws BkpError `PRECONDITION` if the collection's backups are of another database */
export async function requireOwnDatabase(
  vault: VaultReader,
  source: TableSource,
  {definition, backups}: LiveCollection,
  type: WantedBackup,
): Promise<void> {
  const {id: owner, name: collection} = definition;
  const statement = adoptingStatement(collection, type);
  const recent = await requireDatabase(vault, source, {collection, owner, backups, statement});
  if (recent !== 'unknown' || backups.length === 0) return;
  // None of the recent backups can be read: an older one knows the database too.
  const all = await requireCollection(vault, collection);
  await requireDatabase(vault, source, {collection, owner, backups: all.backups, statement});
}
