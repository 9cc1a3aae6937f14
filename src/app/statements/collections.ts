import {randomBytes} from 'node:crypto';
import {isInForce} from '../../backups/index.ts';
import {
  alterCollection,
  type BackupSummary,
  type CollectionMembers,
  createCollection,
  dropCollection,
  leftBehind,
  listBackups,
  missingTables,
  storageOf,
  wholeTables,
} from '../../collections/index.ts';
import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {collectionName, type Members, type Setting, tableName} from '../../sql/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {refuseDropWhenBusy} from '../orders/busy.ts';
import {collectionSubject, startCleanup} from '../orders/start.ts';
import {allCollections} from '../places/all-collections.ts';
import {placeForNew, placeOfCollection, placesOf} from '../places/places.ts';
import {requireCollectionsAt, withSource} from '../places/source-places.ts';
import {type AtPlace, withVault} from '../places/workplace.ts';
import {nothingRuns} from '../schedules/runner.ts';
import {dropCollectionTrial} from './drops.ts';
import {noticesOf, type StatementOf, type StatementResult} from './result.ts';
import {isDryRun} from './settings.ts';

export async function createStatement(
  deps: Deps,
  statement: StatementOf<'create-collection'>,
): Promise<StatementResult> {
  const name = collectionName(statement.name);
  const settings = await completeSettings(deps, statement.settings);
  const place = await placeForNew(deps, storageOf(settings), name);
  // No backup could ever follow.
  await requireCollectionsAt(place);
  const members = membersOf(statement.members);
  const notices = await staysBehind({deps, place}, name, members);
  notices.push(
    ...(await whatBackupsMeet({deps, place}, members, {isIncremental: isIncremental(settings), areNew: true})),
  );
  const created = await withVault({deps, place}, {create: true}, (vault) =>
    createCollection(defineTools(deps, vault), {name, members, settings, ifNotExists: statement.ifNotExists}),
  );
  if (!created.made) return {notices: [`collection ${name} exists already and stays as it is`]};
  if (created.backups > 0) notices.unshift(ofEarlier(created.backups, name));
  return {notices: [...notices, ...(await unlessRun(deps, settings))]};
}

const ofEarlier = (backups: number, name: string) =>
  `${formatCount(backups, 'backup')} in the store ${backups === 1 ? 'belongs' : 'belong'} to ${name} again`;

/** A schedule alone runs nothing. */
async function unlessRun(deps: Deps, settings: readonly Setting[]): Promise<string[]> {
  if (!settings.some(({key}) => key.startsWith('SCHEDULE') && key !== 'SCHEDULE_TZ')) return [];
  const idle = await nothingRuns(deps);
  return idle === undefined ? [] : [`${idle.detail}. To run them: ${idle.next}`];
}

/** Defining a collection needs no database: BACKUP reports one that cannot be read. */
async function staysBehind(at: AtPlace, name: string, chosen: CollectionMembers | undefined): Promise<string[]> {
  if (chosen === undefined) return [];
  try {
    return await withSource(at.deps, at.place, async (source) => [
      ...(await leftBehind({name, members: chosen}, source)),
    ]);
  } catch (error) {
    if (error instanceof BkpError && error.code !== 'BAD_REQUEST') return [];
    throw error;
  }
}

const isIncremental = (settings: readonly Setting[]) =>
  settings.some(({key, value}) => key === 'INCREMENTAL_BACKUP_ENABLED' && value === 'true');

/**
 * Tables that no backup will find, and those that increments cannot follow.
 * @param options.areNew the tables were not named before
 */
async function whatBackupsMeet(
  {deps, place}: AtPlace,
  members: CollectionMembers | undefined,
  {isIncremental, areNew}: {isIncremental: boolean; areNew: boolean},
): Promise<readonly string[]> {
  const named = areNew && members?.kind === 'tables' ? members.tables : [];
  if (members === undefined || (named.length === 0 && !isIncremental)) return [];
  try {
    return await withSource(deps, place, async (source) => [
      ...(await missingTables(named, source)),
      ...(isIncremental ? await wholeTables({members}, source) : []),
    ]);
  } catch (error) {
    if (error instanceof BkpError) return [];
    throw error;
  }
}

/** Without STORAGE, the collection goes into the store that `--store` names, if it names one. */
async function completeSettings(deps: Deps, settings: readonly Setting[]): Promise<readonly Setting[]> {
  if (settings.some(({key}) => key === 'STORAGE')) return settings;
  const [{storage}, ...others] = await placesOf(deps);
  return others.length === 0 ? [...settings, {key: 'STORAGE', value: storage}] : settings;
}

export async function alterStatement(deps: Deps, statement: StatementOf<'alter-collection'>): Promise<StatementResult> {
  const name = collectionName(statement.name);
  const at = {deps, place: await placeOfCollection(deps, name, {defines: true})};
  const {before, after} = await withVault(at, {create: false}, (vault) =>
    alterCollection(defineTools(deps, vault), name, statement.actions),
  );
  const set = statement.actions.flatMap((action) => (action.kind === 'set' ? action.settings : []));
  const added = statement.actions.flatMap((action) => (action.kind === 'add-table' ? [tableName(action.table)] : []));
  const notices = await unlessRun(deps, set);
  if (added.length > 0 && after.members.kind === 'tables') {
    const {incremental: isIncremental} = after.settings;
    notices.push(...(await whatBackupsMeet(at, {kind: 'tables', tables: added}, {isIncremental, areNew: true})));
  }
  if (!before.settings.incremental && after.settings.incremental)
    notices.push(...(await whatBackupsMeet(at, after.members, {isIncremental: true, areNew: false})));
  if (!before.settings.incremental || after.settings.incremental) return {notices};
  return {notices: [...noticesOf(await untrack(at, after.id)), ...notices]};
}

/** The collection is gone when this returns; the cleanup that it starts removes its backups. */
export async function dropStatement(deps: Deps, statement: StatementOf<'drop-collection'>): Promise<StatementResult> {
  const name = collectionName(statement.name);
  if (isDryRun(statement.settings, 'DROP BACKUP COLLECTION')) return dropCollectionTrial(deps, statement);
  await refuseDropWhenBusy(deps, name);
  const at = {deps, place: await placeOfCollection(deps, name, {defines: true})};
  const {dropped, place} = await withVault(at, {create: false}, async (vault, place) => ({
    dropped: await dropCollection(defineTools(deps, vault), {name, ifExists: statement.ifExists}),
    place,
  }));
  if (dropped === undefined) return {notices: [`there is no collection ${name}; nothing was dropped`]};
  // Also with increments switched off: damaged tracking that still has this owner goes too.
  const failed = await untrack(at, dropped.definition.id);
  const about = {subject: collectionSubject(name), statement: statement.text};
  const operation = await startCleanup(deps, {do: 'cleanup', place}, about);
  return {operation, notices: noticesOf(dropped.definition.settings.incremental ? failed : undefined)};
}

export async function showCollections(deps: Deps): Promise<StatementResult> {
  return {rows: {kind: 'collections', collections: await allCollections(deps)}, notices: []};
}

export async function showBackups(deps: Deps, {collection}: StatementOf<'show-backups'>): Promise<StatementResult> {
  const name = collectionName(collection);
  const at = {deps, place: await placeOfCollection(deps, name, {defines: false})};
  const backups = await withVault(at, {create: false}, (vault) => listBackups(vault, name));
  return {rows: {kind: 'backups', backups: backups.map((backup) => inForceNow(deps, backup))}, notices: []};
}

/** Without a pin that is over. */
function inForceNow({nowMicros}: Deps, {pin, ...backup}: BackupSummary): BackupSummary {
  return pin !== undefined && isInForce(pin, nowMicros() / 1000) ? {...backup, pin} : backup;
}

/** @returns what the user should know when the change tracking could not be removed */
async function untrack({deps, place}: AtPlace, owner: string): Promise<string | undefined> {
  if (place.source === undefined) return undefined;
  try {
    await withSource(deps, place, async (source) => source.untrack(owner));
    return undefined;
  } catch (error) {
    const why = (error as Error).message;
    return `its change tracking could not be removed from ${place.source} (${why}); bkp doctor --repair does it later`;
  }
}

function membersOf(written: Members | undefined) {
  if (written === undefined) return undefined;
  if (written.kind === 'database') {
    const {except} = written;
    return {kind: 'database' as const, ...(except === undefined ? {} : {except: except.map(tableName)})};
  }
  return {kind: 'tables' as const, tables: written.tables.map((table) => tableName(table))};
}

function defineTools(deps: Deps, vault: Vault) {
  return {vault, nowMicros: deps.nowMicros, randomId: () => randomBytes(16).toString('hex')};
}
