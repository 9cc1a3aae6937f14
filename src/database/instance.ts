import {randomInt} from 'node:crypto';
import * as v from 'valibot';
import {BkpError} from '../errors/index.ts';
import {name, text, time} from '../schema/index.ts';
import {isDamage, type JsonValue, type VaultReader, type VaultWriter} from '../vault/index.ts';
import {parsedDocument} from '../work/index.ts';
import {
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
  /** Oldest first. */
  backups: readonly DatabaseBackupName[];
};

const documentSchema = v.object({version: v.literal(1), instance: text, dataId: name, createdAt: time});
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
      const document = await readDocument(vault, name);
      return document instanceof BkpError
        ? {name, backups, dataId: undefined, fault: document}
        : {name, backups, dataId: document.dataId};
    }),
  );
}

/** @returns the error when it is missing, damaged or of a newer bkp: that costs this instance alone */
async function readDocument(vault: VaultReader, instance: string): Promise<InstanceDocument | BkpError> {
  const key = instanceKey(instance);
  try {
    return parsedDocument<InstanceDocument>(key, await vault.document(key), {
      schema: documentSchema,
      fault: (document) => (document.instance === instance ? undefined : `it is of instance ${document.instance}`),
    });
  } catch (error) {
    if (isDamage(error) || (error instanceof BkpError && error.code === 'STORE_REFUSED')) return error;
    throw error;
  }
}

/**
 * The instance that a database's backups belong to.
 * @param wanted absent: the one that has this data id
 * @returns undefined when this database has no backup yet, and `wanted` is absent
 * @throws BkpError `STORE_REFUSED` (ER007: `wanted` belongs to another database) | `BAD_REQUEST` (several have this data id) |
 *   `OBJECT_DAMAGED` (nobody can tell any more whose `wanted` is) | `BAD_NAME`
 */
export async function findInstance(
  vault: VaultReader,
  {dataId, wanted}: {dataId: string; wanted?: string | undefined},
): Promise<Instance | undefined> {
  const instances = await listInstances(vault);
  if (wanted === undefined) {
    const own = instances.filter((instance) => instance.dataId === dataId);
    if (own.length <= 1) return own[0];
    // A copy of a database (a replica) may have a name of its own, and then only people know which one this is.
    throw new BkpError(
      'BAD_REQUEST',
      `several instances in ${vault.store} hold backups of this database: ${own.map(({name}) => name).join(', ')}`,
      {next: 'name the one that this database goes on with'},
    );
  }
  requireInstanceName(wanted);
  const found = instances.find(({name}) => name === wanted);
  if (found === undefined) return {name: wanted, dataId: undefined, backups: []};
  if (found.dataId === dataId) return found;
  if (found.dataId === undefined) {
    throw new BkpError(found.fault?.code ?? 'OBJECT_DAMAGED', `nothing can tell whose backups those of ${wanted} are`, {
      cause: found.fault,
      next: 'back up into an instance of a new name; the old backups can still be restored',
    });
  }
  throw new BkpError('STORE_REFUSED', `ER007 data ID mismatch: instance ${wanted} belongs to another database`, {
    cause: `its data id is ${found.dataId}, this database has ${dataId}`,
    next: 'leave the instance name away, or name another store: each database has its own backups',
    context: {instance: wanted},
  });
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
  instance: {name: string; dataId: string; nowMicros: number},
): Promise<void> {
  const document: InstanceDocument = {
    version: 1,
    instance: instance.name,
    dataId: instance.dataId,
    createdAt: timestampText(instance.nowMicros),
  };
  if ((await writer.putDocument(instanceKey(instance.name), document as unknown as JsonValue)) === 'exists') {
    throw new BkpError('BUSY', `another database took the name ${instance.name} meanwhile`, {
      next: 'take the backup again',
      retryable: true,
    });
  }
}
