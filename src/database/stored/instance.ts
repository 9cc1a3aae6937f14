import {randomInt} from 'node:crypto';
import * as v from 'valibot';
import {newestReadable, readDocument} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {name, text, time} from '../../lib/schema.ts';
import {type FileSource, isSamePlace, originSchema, type Whereabouts} from '../../sources/index.ts';
import type {JsonValue, VaultReader, VaultWriter} from '../../vault/index.ts';
import {readDatabaseBackup} from './manifest.ts';
import {
  backupMicros,
  backupPrefix,
  type DatabaseBackupName,
  instanceKey,
  parseDatabaseKey,
  requireInstanceName,
  timestampText,
} from './names.ts';
import {words} from './words.ts';

/** One database's line of backups in a store. */
export type Instance = {
  name: string;
  /** Undefined when the document that tells it is damaged or missing: its backups can be restored, and none is added. */
  dataId: string | undefined;
  /** Why it is undefined; absent before the first backup. */
  fault?: BkpError;
  /** Where the database was when its first backup took the name; absent in documents of older versions. */
  taken?: Whereabouts;
  /** Oldest first. */
  backups: readonly DatabaseBackupName[];
};

const documentSchema = v.object({
  version: v.literal(1),
  instance: text,
  dataId: name,
  createdAt: time,
  source: v.exactOptional(v.object({description: text, origin: v.exactOptional(originSchema)})),
});
type InstanceDocument = v.InferOutput<typeof documentSchema>;

/** All instances of a store, by one listing and one small document each; sorted by name. */
export async function listInstances(vault: VaultReader): Promise<readonly Instance[]> {
  const found = new Map<string, DatabaseBackupName[]>();
  for await (const key of vault.keys(backupPrefix)) {
    const parsed = parseDatabaseKey(key);
    if (parsed === undefined) continue;
    const backups = found.get(parsed.instance) ?? [];
    found.set(parsed.instance, backups);
    if (parsed.kind === 'manifest') backups.push(parsed.backup);
  }
  return Promise.all(
    [...found].map(async ([name, backups]) => {
      const document = await readInstance(vault, name);
      if (document instanceof BkpError) return {name, backups, dataId: undefined, fault: document};
      const {dataId, source} = document;
      return {name, backups, dataId, ...(source === undefined ? {} : {taken: source})};
    }),
  );
}

function readInstance(vault: VaultReader, instance: string): Promise<InstanceDocument | BkpError> {
  return readDocument<InstanceDocument>(vault, instanceKey(instance), {
    schema: documentSchema,
    fault: (document) => (document.instance === instance ? undefined : `it is of instance ${document.instance}`),
  });
}

/** A database that is to be backed up. */
export type Present = Whereabouts & {dataId: string};

export async function presentDatabase(source: FileSource): Promise<Present> {
  const [dataId, origin] = [await source.dataId(), source.origin()];
  return {description: source.description, dataId, ...(origin === undefined ? {} : {origin})};
}

/** `elsewhere`: instances with the same data id whose newest backup is of another place: of a copy, or from before a move. */
export type Found = {instance: Instance | undefined; elsewhere: readonly string[]};

/**
 * The instance that a database's backups belong to: the one of its data id whose newest backup is of its place. A copy of a
 * database has its data id too, and its backups must not push out those of the original.
 * @param wanted `instance`: only that one, or a new one of this name. `adopt`: go on with that one, wherever its backups were taken
 * @returns no instance when this database has no backup yet, and nothing is wanted
 * @throws BkpError `STORE_REFUSED` (ER007: it belongs to another database) | `OBJECT_DAMAGED` (nobody can tell any more whose it
 *   is) | `BACKUP_NOT_FOUND` (what is to be adopted is not there) | `BAD_NAME`
 */
export async function findInstance(
  vault: VaultReader,
  present: Present,
  wanted: {instance?: string | undefined; adopt?: string | undefined} = {},
): Promise<Found> {
  const instances = await listInstances(vault);
  const named = wanted.adopt ?? wanted.instance;
  if (named !== undefined) return {instance: requireOwn(instances, present, named, wanted), elsewhere: []};
  const own = instances.filter((instance) => instance.dataId === present.dataId);
  const here: Instance[] = [];
  for (const instance of own) {
    const known = await whereaboutsOf(vault, instance);
    // An older bkp wrote down no origin: the data id is all that there is.
    if (known?.origin === undefined || isSamePlace(known, present)) here.push(instance);
  }
  // Of several, one was adopted or is what a move left behind: the database goes on with the one that it went on with last.
  const [instance] = here.sort((a, b) => newestOf(b) - newestOf(a));
  return {instance, elsewhere: instance === undefined ? own.map(({name}) => name) : []};
}

const newestOf = ({backups}: Instance) => (backups.length === 0 ? 0 : backupMicros(backups.at(-1)!));

function requireOwn(
  instances: readonly Instance[],
  {dataId}: Present,
  named: string,
  {adopt}: {adopt?: string | undefined},
): Instance {
  requireInstanceName(named);
  const found = instances.find(({name}) => name === named);
  if (found === undefined) {
    if (adopt === undefined) return {name: named, dataId: undefined, backups: []};
    const all = instances.map(({name}) => name).join(', ');
    throw new BkpError('BACKUP_NOT_FOUND', `the store holds no backups of instance ${named}`, {
      next: all === '' ? 'BACKUP DATABASE takes one' : `it holds backups of ${all}`,
    });
  }
  if (found.dataId === dataId) return found;
  if (found.dataId === undefined) {
    throw new BkpError(found.fault?.code ?? 'OBJECT_DAMAGED', `nothing can tell whose backups those of ${named} are`, {
      cause: found.fault,
      next: 'back up into an instance of a new name; the old backups can still be restored',
    });
  }
  throw new BkpError('STORE_REFUSED', `ER007 data ID mismatch: instance ${named} belongs to another database`, {
    cause: `its data id is ${found.dataId}, this database has ${dataId}`,
    next: 'leave the instance name away, or name another store: each database has its own backups',
    context: {instance: named},
  });
}

/** Of its newest backup that can be read, or else of when its name was taken. */
async function whereaboutsOf(vault: VaultReader, {name, backups, taken}: Instance): Promise<Whereabouts | undefined> {
  const newest = await newestReadable(backups, (backup) => readDatabaseBackup(vault, name, backup));
  return newest?.body.source ?? taken;
}

/** Three words that no instance of the store has. @param pick a number from 0 to below its argument */
export function newInstanceName(taken: readonly Instance[], pick: (below: number) => number = randomInt): string {
  for (;;) {
    const name = [0, 1, 2].map(() => words[pick(words.length)]).join('-');
    if (taken.every((instance) => instance.name !== name)) return name;
  }
}

export async function putInstance(
  writer: VaultWriter,
  instance: {name: string; present: Present; nowMicros: number},
): Promise<void> {
  const {dataId, ...source} = instance.present;
  const document: InstanceDocument = {
    version: 1,
    instance: instance.name,
    dataId,
    createdAt: timestampText(instance.nowMicros),
    source,
  };
  if ((await writer.putDocument(instanceKey(instance.name), document as unknown as JsonValue)) === 'exists') {
    throw new BkpError('BUSY', `another database took the name ${instance.name} meanwhile`, {
      next: 'take the backup again',
      retryable: true,
    });
  }
}
