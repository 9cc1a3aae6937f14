import type {TableSource} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type LiveCollection, requireCollection} from '../stored/folder.ts';
import {type BackupName, type BackupType, nextBackupName} from '../stored/names.ts';
import {adoptingStatement, requireDatabase} from './belongs.ts';
import {requireChain, requireSameMembers} from './chain.ts';
import {memberTables} from './members.ts';

/**
 * Refuses what can be refused before any work starts; nothing is written.
 * @returns the name that the backup will have, unless another machine takes it first
 */
export async function planBackup(
  vault: VaultReader,
  source: TableSource,
  request: {collection: string; type: BackupType; adopt?: boolean | undefined; nowMicros: number},
): Promise<BackupName> {
  const live = await requireCollection(vault, request.collection);
  const members = await memberTables(live.definition, source);
  if (!request.adopt) await requireOwnDatabase(vault, source, live, request.type);
  if (request.type === 'incremental') requireSameMembers(await requireChain(vault, live), members);
  return nextBackupName(request.type, request.nowMicros, live.taken);
}

/** @throws BkpError `PRECONDITION` if the collection's backups are of another database */
export function requireOwnDatabase(
  vault: VaultReader,
  source: TableSource,
  {definition, backups}: LiveCollection,
  type: BackupType,
): Promise<void> {
  const {id: owner, name: collection} = definition;
  return requireDatabase(vault, source, {collection, owner, backups, statement: adoptingStatement(collection, type)});
}
