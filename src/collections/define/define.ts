import {newestReadable} from '../../backups/index.ts';
import {assert, BkpError} from '../../errors/index.ts';
import {type AlterAction, quoteName, type Setting, tableName} from '../../sql/index.ts';
import type {Key} from '../../stores/index.ts';
import type {JsonValue, Vault, VaultReader, VaultWriter} from '../../vault/index.ts';
import {type CollectionMembers, type Definition, definitionVersion} from '../stored/definition.ts';
import {
  type CollectionFolder,
  isLiving,
  type LiveCollection,
  noSuchCollection,
  readFolder,
  requireCollection,
} from '../stored/folder.ts';
import {readBackup} from '../stored/manifest.ts';
import {type BackupName, creatingKey, definitionKey} from '../stored/names.ts';
import {pinSubject, requireUnpinned} from '../stored/pinned.ts';
import {applySettings, resetSettings} from './settings.ts';

export type DefineTools = {vault: Vault; nowMicros: () => number; randomId: () => string};

/**
 * The result of CREATE.
 * `backups`: how many backups existed without a readable definition, and belong to the collection again.
 */
export type Created = {made: false} | {made: true; backups: number};

/** Creates nothing if the collection exists and `ifNotExists` is set. */
export async function createCollection(
  tools: DefineTools,
  request: {name: string; members: CollectionMembers | undefined; settings: readonly Setting[]; ifNotExists: boolean},
): Promise<Created> {
  const {name} = request;
  const settings = applySettings(undefined, request.settings);
  const members = request.members ?? {kind: 'tables', tables: []};
  requireDistinct(members.kind === 'tables' ? members.tables : (members.except ?? []));
  return change(tools, name, async (writer) => {
    const folder = await readFolder(tools.vault, name);
    const {newest, damage} = folder;
    // What a newer bkp wrote is not damaged, and must not be overwritten.
    if (damage?.code === 'STORE_REFUSED') throw damage;
    if (newest !== undefined && newest.dropped === undefined) {
      if (request.ifNotExists) return {made: false};
      throw new BkpError('COLLECTION_EXISTS', `path exist: collection /Root/.backups/collections/${name}`, {
        next: `ALTER BACKUP COLLECTION ${quoteName(name)} … changes it; CREATE … IF NOT EXISTS leaves it unchanged`,
      });
    }
    const definition: Definition = {
      version: 1,
      id: (await lastKnownId(tools.vault, name, folder)) ?? tools.randomId(),
      name,
      generation: nextGeneration(folder, writer),
      createdAt: isoNow(tools),
      members,
      settings,
    };
    await putFirstDefinition(tools.vault, writer, definition, folder);
    return {made: true, backups: damage === undefined ? 0 : folder.backups.length};
  });
}

/** The id in the newest readable backup, for a definition that replaces a damaged or lost one. */
export async function lastKnownId(
  vault: VaultReader,
  name: string,
  {damage, backups}: CollectionFolder,
): Promise<string | undefined> {
  if (damage === undefined) return undefined;
  const newest = await newestReadable(backups, (backup) => readBackup(vault, name, backup));
  return newest?.body.collection.id;
}

/** @returns the definition before and after */
export async function alterCollection(
  tools: DefineTools,
  name: string,
  actions: readonly AlterAction[],
): Promise<{before: Definition; after: Definition}> {
  return change(tools, name, async (writer) => {
    const {definition: before} = await requireCollection(tools.vault, name);
    const after = {...actions.reduce(applyAction, before), generation: before.generation + 1};
    await putDefinition(writer, after);
    return {before, after};
  });
}

function applyAction(definition: Definition, action: AlterAction): Definition {
  const {members, name} = definition;
  switch (action.kind) {
    case 'set':
      return {...definition, settings: applySettings(definition.settings, action.settings)};
    case 'reset':
      return {...definition, settings: resetSettings(definition.settings, action.keys)};
    case 'add-database': {
      const except = action.except?.map(tableName) ?? [];
      requireDistinct(except);
      return {...definition, members: databaseExcept(except)};
    }
    case 'drop-database':
      if (members.kind !== 'database') throw refuse(`collection ${name} is not of the whole database`);
      return {...definition, members: {kind: 'tables', tables: []}};
    case 'add-table': {
      const table = tableName(action.table);
      if (members.kind === 'database') {
        const {except = []} = members;
        if (!except.includes(table)) throw refuse(`collection ${name} is of the whole database, ${table} included`);
        return {...definition, members: databaseExcept(except.filter((other) => other !== table))};
      }
      requireDistinct([...members.tables, table]);
      return {...definition, members: {kind: 'tables', tables: [...members.tables, table]}};
    }
    case 'drop-table': {
      const table = tableName(action.table);
      if (members.kind === 'database') {
        const except = [...(members.except ?? []), table];
        requireDistinct(except);
        return {...definition, members: databaseExcept(except)};
      }
      if (!members.tables.includes(table)) throw refuse(`table ${table} is not in collection ${name}`);
      return {...definition, members: {kind: 'tables', tables: members.tables.filter((member) => member !== table)}};
    }
  }
}

const databaseExcept = (except: readonly string[]): CollectionMembers =>
  except.length === 0 ? {kind: 'database'} : {kind: 'database', except};

export type Dropped = {definition: Definition; backups: readonly BackupName[]};

/**
 * Writes the definition's last generation, unless a backup is pinned. From then on the collection and its backups no
 * longer exist for any reader, and the name is free. A cleanup removes the objects.
 * @returns undefined if there was nothing to drop and `ifExists` is set
 */
export async function dropCollection(
  tools: DefineTools,
  request: {name: string; ifExists: boolean},
): Promise<Dropped | undefined> {
  const {name} = request;
  // Checked before taking the lease, so that a vault without this collection is not written to.
  const seen = await readFolder(tools.vault, name);
  if (!isLiving(seen)) {
    if (request.ifExists) return undefined;
    throw noSuchCollection(name);
  }
  const refuseIfPinned = ({pins}: Pick<LiveCollection, 'pins'>) =>
    requireUnpinned(pins, {collection: name, what: `${name} was not dropped`, nowMs: tools.nowMicros() / 1000});
  refuseIfPinned(seen);
  return change(tools, name, async (writer) => {
    // Without this lease, another process could pin a backup after the check.
    const pins = await tools.vault.writer({purpose: `DROP of collection ${name}`, subject: pinSubject(name)});
    try {
      const live = await requireCollection(tools.vault, name);
      refuseIfPinned(live);
      const {definition, backups} = live;
      const dropped = {at: isoNow(tools), backups};
      await putDefinition(writer, {...definition, generation: definition.generation + 1, dropped});
      return {definition, backups};
    } finally {
      await pins.close();
    }
  });
}

/** Runs `act` as the only writer of the collection. */
async function change<T>(tools: DefineTools, name: string, act: (writer: VaultWriter) => Promise<T>): Promise<T> {
  const writer = await tools.vault.writer({purpose: `a change of collection ${name}`, subject: `collection ${name}`});
  try {
    return await act(writer);
  } finally {
    await writer.close();
  }
}

/**
 * The first generation's number is random: a delayed cleanup of a dropped collection must not remove the
 * definitions of a new collection with the same name. It is higher than those of definitions that may still arrive.
 */
export function nextGeneration(
  {generation, announced}: Pick<CollectionFolder, 'generation' | 'announced'>,
  {id}: VaultWriter,
): number {
  const newest = Math.max(generation, ...announced);
  return newest > 0 ? newest + 1 : 1 + Number.parseInt(id.slice(0, 6), 16);
}

/**
 * Puts the definition of a collection that may be new. If it is, its number is announced before: this put may arrive
 * when another CREATE has made the collection, whose definition then has a higher number.
 * @param folder as it was when the number was chosen
 * @throws BkpError `BUSY` if another writer was faster, or has made the collection meanwhile
 */
export async function putFirstDefinition(
  vault: VaultReader,
  writer: VaultWriter,
  definition: Definition,
  folder: Pick<CollectionFolder, 'generation'>,
): Promise<void> {
  const {name, generation} = definition;
  if (folder.generation > 0) return putDefinition(writer, definition);
  await putDefinition(writer, definition, {announcedBy: creatingKey(name, generation)});
  // This process may have been paused before the put, and another one may have taken it for dead.
  if ((await readFolder(vault, name)).generation !== generation) throw changedMeanwhile(name);
}

/** @throws BkpError `BUSY` if another writer was faster */
export async function putDefinition(
  writer: VaultWriter,
  definition: Definition,
  options: {announcedBy?: Key} = {},
): Promise<void> {
  assert(definition.generation < 1e8, 'a generation has eight digits');
  const document = {...definition, version: definitionVersion(definition)} as unknown as JsonValue;
  const put = await writer.putDocument(definitionKey(definition.name, definition.generation), document, options);
  if (put === 'exists') throw changedMeanwhile(definition.name);
}

function changedMeanwhile(collection: string): BkpError {
  return new BkpError('BUSY', `another operation is already in progress for collection ${collection}`, {
    next: 'try again',
    retryable: true,
  });
}

function requireDistinct(tables: readonly string[]): void {
  const twice = tables.find((table, at) => tables.indexOf(table) !== at);
  if (twice !== undefined) throw refuse(`table ${twice} is named twice`);
}

function refuse(message: string): BkpError {
  return new BkpError('BAD_REQUEST', message, {next: 'SHOW BACKUP COLLECTIONS shows the members'});
}

function isoNow(tools: DefineTools): string {
  return new Date(tools.nowMicros() / 1000).toISOString();
}
