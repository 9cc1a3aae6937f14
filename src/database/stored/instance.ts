import * as v from 'valibot';
import {readDocument} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {name, text, time} from '../../lib/schema.ts';
import {microsText} from '../../lib/time.ts';
import {originSchema, type Whereabouts} from '../../sources/index.ts';
import type {JsonValue, VaultReader, VaultWriter} from '../../vault/index.ts';
import {backupPrefix, type DatabaseBackupName, instanceKey, parseDatabaseKey} from './names.ts';

/** The backups of one database in a store. */
export type Instance = {
  name: string;
  /** Undefined if its document is damaged or missing: the backups can be restored, but none can be added. */
  dataId: string | undefined;
  /** Why `dataId` is undefined; absent before the first backup. */
  fault?: BkpError | undefined;
  /** Where the database was at the first backup; absent in documents of older versions. */
  taken?: Whereabouts | undefined;
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

/** All instances of a store, sorted by name: one listing, and one small document for each. */
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
      return {name, backups, dataId, taken: source};
    }),
  );
}

function readInstance(vault: VaultReader, instance: string): Promise<InstanceDocument | BkpError> {
  return readDocument<InstanceDocument>(vault, instanceKey(instance), {
    schema: documentSchema,
    fault: (document) => (document.instance === instance ? undefined : `it is of instance ${document.instance}`),
  });
}

export async function putInstance(
  writer: VaultWriter,
  instance: {name: string; present: Whereabouts & {dataId: string}; nowMicros: number},
): Promise<void> {
  const {dataId, ...source} = instance.present;
  const document: InstanceDocument = {
    version: 1,
    instance: instance.name,
    dataId,
    createdAt: microsText(instance.nowMicros),
    source,
  };
  if ((await writer.putDocument(instanceKey(instance.name), document as unknown as JsonValue)) === 'exists') {
    throw new BkpError('BUSY', `another database took the name ${instance.name} meanwhile`, {
      next: 'take the backup again',
      retryable: true,
    });
  }
}
