import {freedBytes, type Removal, requireUnread} from '../../backups/index.ts';
import {planDropBackup, planDropCollection} from '../../collections/index.ts';
import {backupMicros, planDropDatabaseBackup} from '../../database/index.ts';
import {formatBytes, formatCount} from '../../lib/figures.ts';
import {microsText} from '../../lib/time.ts';
import {backupRef, collectionName} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {databaseReaderIn, readersIn} from '../orders/readers.ts';
import {collectionSubject, startCleanup, startOperation} from '../orders/start.ts';
import {objectPlace, placeOfCollection} from '../places/places.ts';
import {withVault} from '../places/workplace.ts';
import {databaseBackupRef} from './database-ref.ts';
import type {StatementOf, StatementResult} from './result.ts';
import {isDryRun} from './settings.ts';

/** The backup is removed by the operation, which waits for running backups to end. */
export async function dropBackupStatement(deps: Deps, statement: StatementOf<'drop-backup'>): Promise<StatementResult> {
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const isTrial = isDryRun(statement.settings, 'DROP BACKUP');
  const at = {deps, place: await placeOfCollection(deps, collection, {defines: true})};
  const {plan, place, trial} = await withVault(at, {create: false}, async (vault, place) => {
    const readerOf = await readersIn(deps, {collection, vault: vault.id});
    const plan = await planDropBackup(vault, {collection, point, nowMs: deps.nowMicros() / 1000, readerOf});
    return {plan, place, trial: isTrial ? await trialOf(vault, [plan.removal]) : undefined};
  });
  const {removal, notices} = plan;
  if (trial !== undefined) return {...trial, notices: [...trial.notices, ...notices]};
  const about = {subject: collectionSubject(collection), statement: statement.text, backup: removal.label};
  const order = {do: 'cleanup', place, collection, drop: plan.backup} as const;
  return {operation: await startCleanup(deps, order, about), notices};
}

/** What DROP BACKUP COLLECTION would remove. */
export async function dropCollectionTrial(
  deps: Deps,
  statement: StatementOf<'drop-collection'>,
): Promise<StatementResult> {
  const name = collectionName(statement.name);
  const at = {deps, place: await placeOfCollection(deps, name, {defines: true})};
  return withVault(at, {create: false}, async (vault) => {
    const removals = await planDropCollection(vault, {name, nowMs: deps.nowMicros() / 1000});
    if (removals !== undefined) return trialOf(vault, removals);
    return {notices: [`there is no collection ${name}; nothing would be dropped`]};
  });
}

export async function dropDatabaseBackupStatement(
  deps: Deps,
  statement: StatementOf<'drop-database-backup'>,
): Promise<StatementResult> {
  const isTrial = isDryRun(statement.settings, 'DROP DATABASE BACKUP');
  const at = {deps, place: await objectPlace(deps)};
  const {ref, place, trial} = await withVault(at, {create: false}, async (vault, place) => {
    const ref = await databaseBackupRef(deps, {place, vault}, statement.timestamp);
    const removal = await planDropDatabaseBackup(vault, {...ref, nowMs: deps.nowMicros() / 1000});
    requireUnread(removal.label, await databaseReaderIn(deps, {...ref, vault: vault.id}));
    return {ref, place, trial: isTrial ? await trialOf(vault, [removal]) : undefined};
  });
  if (trial !== undefined) return trial;
  const operation = await startOperation(
    deps,
    {do: 'dbdrop', place, ...ref},
    {
      ...{kind: 'cleanup', subject: {kind: 'databases'}, shared: true, statement: statement.text},
      backup: `${ref.instance}/${microsText(backupMicros(ref.backup))}`,
    },
  );
  return {operation, notices: []};
}

async function trialOf(vault: VaultReader, removals: readonly Removal[]): Promise<StatementResult> {
  const freed = await freedBytes(vault, removals);
  const rows = removals.map(({label}, at) => ({backup: label, freedBytes: freed?.[at]}));
  const what = formatCount(removals.length, 'backup');
  const total = freed?.reduce((sum, bytes) => sum + bytes, 0);
  const frees =
    total === undefined
      ? 'free nothing, as long as the manifest of another backup cannot be read'
      : `free about ${formatBytes(total)}`;
  return {rows: {kind: 'removal', rows}, notices: [`nothing was removed; DROP would remove ${what} and ${frees}`]};
}
