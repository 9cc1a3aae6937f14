import {randomBytes} from 'node:crypto';
import {
  alterCollection,
  type CollectionMembers,
  createCollection,
  dropCollection,
  hasCollection,
  leftBehind,
  listBackups,
  planBackup,
  planCopy,
  planRestore,
  planVerify,
  storageOf,
} from '../../collections/index.ts';
import {sameStore} from '../../config/index.ts';
import {BkpError, unreachable} from '../../errors/index.ts';
import type {Operation} from '../../ops/index.ts';
import {runSelect} from '../../query/index.ts';
import {backupRef, collectionName, type Members, type Setting, type Statement, tableName} from '../../sql/index.ts';
import type {Vault, VerifyLevel} from '../../vault/index.ts';
import {backupRows, collectionRows, type ResultRows, selectedRows, startedRow} from '../answers.ts';
import type {Deps} from '../deps.ts';
import {refuseDropWhenBusy, refuseWhenBusy} from '../orders/busy.ts';
import {type About, collectionSubject, startCleanup, startOperation} from '../orders/start.ts';
import type {WorkOrder} from '../orders/work-order.ts';
import {allCollections} from '../places/all-collections.ts';
import {placeForNew, placeNamed, placeOfCollection, placesOf, withVaultIfAny} from '../places/places.ts';
import {type Surroundings, type Workplace, withSource, withVault} from '../places/workplace.ts';
import {selectable} from '../views/views.ts';
import {isAdopting} from './adopt.ts';
import {abortBackup, backupDatabase, checkpoint, restoreDatabaseStatement, verifyDatabase} from './databases.ts';

/** What a statement answers: rows, the operation that now runs, or nothing but its effect. */
export type Answer = {rows?: ResultRows; operation?: Operation; notice?: string};

/** Does what can be done at once and starts an operation for the rest. */
export async function execute(deps: Deps, statement: Statement): Promise<Answer> {
  // A look at what was done changes nothing, also where nothing more is to be done.
  if (statement.kind === 'select') return {rows: selectedRows(await select(deps, statement.text))};
  const {enabled} = await deps.settings();
  if (!enabled) {
    throw new BkpError('PRECONDITION', 'Backup collections are disabled', {
      cause: 'backup.enabled is false',
      next: 'bkp config set backup.enabled true',
    });
  }
  switch (statement.kind) {
    case 'create-collection':
      return create(deps, statement);
    case 'alter-collection':
      return alter(deps, statement);
    case 'drop-collection':
      return drop(deps, statement);
    case 'backup':
      return backup(deps, statement);
    case 'restore':
      return restore(deps, statement);
    case 'verify':
      return verify(deps, statement);
    case 'copy':
      return copy(deps, statement);
    case 'backup-database':
      return backupDatabase(deps, statement);
    case 'backup-abort':
      return abortBackup(deps);
    case 'checkpoint':
      return checkpoint(deps, statement);
    case 'restore-database':
      return restoreDatabaseStatement(deps, statement);
    case 'verify-database':
      return verifyDatabase(deps, statement, verifyLevel(statement.settings));
    case 'show-collections':
      return {rows: collectionRows(await allCollections(deps))};
    case 'show-backups': {
      const name = collectionName(statement.collection);
      const at = await surroundings(deps, name);
      return {rows: backupRows(await withVault(at, {create: false}, (vault) => listBackups(vault, name)))};
    }
    default:
      return unreachable(statement);
  }
}

async function select(deps: Deps, text: string) {
  const {selectRows: rows, selectSeconds: seconds, selectMebibytes: mebibytes} = await deps.settings();
  return runSelect(text, selectable(deps), {limits: {rows, seconds, mebibytes}, signal: () => deps.signal});
}

async function surroundings(deps: Deps, collection: string, {defines = false} = {}): Promise<Surroundings> {
  return {deps, place: await placeOfCollection(deps, collection, {defines})};
}

type Of<K extends Statement['kind']> = Extract<Statement, {kind: K}>;

async function create(deps: Deps, statement: Of<'create-collection'>): Promise<Answer> {
  const name = collectionName(statement.name);
  const settings = await completeSettings(deps, statement.settings);
  const place = await placeForNew(deps, storageOf(settings), name);
  const sentences = await staysBehind({deps, place}, name, members(statement.members));
  const created = await withVault({deps, place}, {create: true}, (vault) =>
    createCollection(defineTools(deps, vault), {
      name,
      members: members(statement.members),
      settings,
      ifNotExists: statement.ifNotExists,
    }),
  );
  if (!created.made) return {notice: `collection ${name} exists already and stays as it is`};
  if (created.backups > 0) sentences.unshift(`${created.backups} backups in the store belong to ${name} again`);
  return sentences.length === 0 ? {} : {notice: sentences.join('\nbkp: ')};
}

/** The definition needs no database: where there is none that can be read, BACKUP reports it. */
async function staysBehind(at: Surroundings, name: string, chosen: CollectionMembers | undefined): Promise<string[]> {
  if (chosen === undefined) return [];
  try {
    return await withSource(at.place, async (source) => [...(await leftBehind({name, members: chosen}, source))]);
  } catch (error) {
    if (error instanceof BkpError && error.code !== 'BAD_REQUEST') return [];
    throw error;
  }
}

/** A statement that does not say where puts the collection where `--store` says, if it says. */
async function completeSettings(deps: Deps, settings: readonly Setting[]): Promise<readonly Setting[]> {
  if (settings.some(({key}) => key === 'STORAGE')) return settings;
  const [{storage}, ...others] = await placesOf(deps);
  return others.length === 0 ? [...settings, {key: 'STORAGE', value: storage}] : settings;
}

async function backup(deps: Deps, statement: Of<'backup'>): Promise<Answer> {
  const collection = collectionName(statement.collection);
  const type = statement.incremental ? 'incremental' : 'full';
  const adopt = isAdopting(statement.settings);
  await refuseWhenBusy(deps, collection);
  const at = await surroundings(deps, collection);
  const name = await withVault(at, {create: false}, (vault) =>
    withSource(at.place, (source) =>
      planBackup(vault, source, {collection, type, adopt, nowMicros: at.deps.nowMicros()}),
    ),
  );
  return start(
    at,
    {do: 'backup', place: at.place, collection, type, name, ...(adopt ? {adopt} : {})},
    {
      kind: statement.incremental ? 'incbackup' : 'fullbackup',
      subject: collectionSubject(collection),
      shared: false,
      statement: statement.text,
      backup: `${collection}/${name}`,
    },
  );
}

async function restore(deps: Deps, statement: Of<'restore'>): Promise<Answer> {
  const {collection, point} = backupRef(statement.backup);
  await refuseWhenBusy(deps, collection);
  const at = await surroundings(deps, collection);
  const backup = await withVault(at, {create: false}, (vault) =>
    withSource(at.place, (source) => planRestore(vault, source, {collection, point})),
  );
  const {check} = await at.deps.settings();
  // Random, because two homes may restore into one database and both count their operations from 1.
  const stagingId = randomBytes(6).toString('hex');
  return start(
    at,
    {do: 'restore', place: at.place, collection, backup, stagingId, check},
    {
      kind: 'restore',
      subject: collectionSubject(collection),
      shared: false,
      statement: statement.text,
      backup: `${collection}/${backup}`,
    },
  );
}

async function verify(deps: Deps, statement: Of<'verify'>): Promise<Answer> {
  const {collection, point} = backupRef(statement.backup);
  const level = verifyLevel(statement.settings);
  const at = await surroundings(deps, collection);
  const backup = await withVault(at, {create: false}, (vault) => planVerify(vault, {collection, point}));
  return start(
    at,
    {do: 'verify', place: at.place, collection, level, ...(backup === undefined ? {} : {backup})},
    {
      kind: 'verify',
      subject: collectionSubject(collection),
      shared: true,
      statement: statement.text,
      ...(backup === undefined ? {} : {backup: `${collection}/${backup}`}),
    },
  );
}

/** Both stores are looked at before anything is started; the copy makes the other vault when there is none yet. */
async function copy(deps: Deps, statement: Of<'copy'>): Promise<Answer> {
  const {collection, point} = backupRef(statement.backup);
  await refuseWhenBusy(deps, collection);
  const to = await placeNamed(deps, statement.target);
  const at = await placeOfOriginal(deps, collection, to);
  const isHome = sameStore((await placeOfCollection(deps, collection, {defines: false})).store, to.store);
  const {backup, nothing} = await withVault(at, {create: false}, (from) =>
    withVault({deps, place: to}, {create: true}, (target) => planCopy(from, target, {collection, point, isHome})),
  );
  if (nothing !== undefined) return {notice: nothing};
  const name = backup === undefined ? {} : {backup: `${collection}/${backup}`};
  return start(
    at,
    {do: 'copy', place: at.place, collection, to, ...(backup === undefined ? {} : {backup})},
    {kind: 'copy', subject: collectionSubject(collection), shared: false, statement: statement.text, ...name},
  );
}

/** The collection may have been copied before: it is looked for first where it is not copied to. */
async function placeOfOriginal(deps: Deps, collection: string, to: Workplace): Promise<Surroundings> {
  for (const place of await placesOf(deps)) {
    if (sameStore(place.store, to.store)) continue;
    if (await withVaultIfAny(deps, place, (vault) => hasCollection(vault, collection))) return {deps, place};
  }
  return surroundings(deps, collection);
}

async function alter(deps: Deps, statement: Of<'alter-collection'>): Promise<Answer> {
  const name = collectionName(statement.name);
  const at = await surroundings(deps, name, {defines: true});
  const {before, after} = await withVault(at, {create: false}, (vault) =>
    alterCollection(defineTools(deps, vault), name, statement.actions),
  );
  if (!before.settings.incremental || after.settings.incremental) return {};
  const notice = await untrack(at, after.id);
  return notice === undefined ? {} : {notice};
}

/** The collection is gone when this returns; what it leaves behind goes with the cleanup that is started. */
async function drop(deps: Deps, statement: Of<'drop-collection'>): Promise<Answer> {
  const name = collectionName(statement.name);
  await refuseDropWhenBusy(deps, name);
  const at = await surroundings(deps, name, {defines: true});
  const dropped = await withVault(at, {create: false}, (vault) =>
    dropCollection(defineTools(at.deps, vault), {name, ifExists: statement.ifExists}),
  );
  if (dropped === undefined) return {notice: `there is no collection ${name}; nothing was dropped`};
  // Also where increments were switched off: what somebody broke of the tracking goes too.
  const failed = await untrack(at, dropped.definition.id);
  const notice = dropped.definition.settings.incremental ? failed : undefined;
  const about = {subject: collectionSubject(name), statement: statement.text};
  const operation = await startCleanup(at.deps, {do: 'cleanup', place: at.place}, about);
  return {operation, rows: startedRow(operation), ...(notice === undefined ? {} : {notice})};
}

/** @returns what the user should know when the change capture could not be removed */
async function untrack(at: Surroundings, owner: string): Promise<string | undefined> {
  if (at.place.source === undefined) return undefined;
  try {
    await withSource(at.place, async (source) => source.untrack(owner));
    return undefined;
  } catch (error) {
    return `its change tracking could not be removed from ${at.place.source} (${(error as Error).message}); bkp doctor --repair does it later`;
  }
}

async function start({deps}: Surroundings, order: WorkOrder, about: About): Promise<Answer> {
  const operation = await startOperation(deps, order, about);
  return {operation, rows: startedRow(operation, about.backup)};
}

function members(written: Members | undefined) {
  if (written === undefined || written.kind === 'database') return written;
  return {kind: 'tables' as const, tables: written.tables.map((table) => tableName(table))};
}

function verifyLevel(settings: readonly Setting[]): VerifyLevel {
  let level: VerifyLevel = 'data';
  for (const {key, value} of settings) {
    if (key !== 'LEVEL')
      throw new BkpError('BAD_REQUEST', `${key} is not a setting of VERIFY`, {next: "write WITH (LEVEL='structure')"});
    const wanted = value.toLowerCase();
    if (wanted !== 'structure' && wanted !== 'data') {
      throw new BkpError('BAD_REQUEST', `LEVEL cannot be '${value}'`, {
        next: "write LEVEL='structure' or LEVEL='data'",
      });
    }
    level = wanted;
  }
  return level;
}

function defineTools(deps: Deps, vault: Vault) {
  return {vault, nowMicros: deps.nowMicros, randomId: () => randomBytes(16).toString('hex')};
}
