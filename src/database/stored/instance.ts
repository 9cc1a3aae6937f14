import * as v from 'valibot';
import {
  lastingReports,
  type Pin,
  type PinObject,
  parsePinKey,
  type ReportFacts,
  readDocument,
  readPins,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {name, text, time} from '../../lib/schema.ts';
import {microsText} from '../../lib/time.ts';
import {originSchema, type Whereabouts} from '../../sources/index.ts';
import type {Key} from '../../stores/index.ts';
import type {JsonValue, VaultReader, VaultWriter} from '../../vault/index.ts';
import {
  backupPrefix,
  type DatabaseBackupName,
  instanceKey,
  instancePrefix,
  isDatabaseBackupName,
  isInstanceName,
  parseDatabaseKey,
} from './names.ts';

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
  /** Pins that were not ended by UNPIN, by their backups; the time of some may be over. */
  pins: ReadonlyMap<DatabaseBackupName, Pin>;
  /** Everything below `pins/`. */
  pinObjects: readonly PinObject[];
  /** On its backups, and those that outlast them, oldest first. */
  reports: readonly FoundReport[];
};

export type FoundReport = ReportFacts & {key: Key; backup: DatabaseBackupName};

/** What a new instance has. */
export const withoutBackups: Pick<Instance, 'backups' | 'pins' | 'pinObjects' | 'reports'> = {
  backups: [],
  pins: new Map(),
  pinObjects: [],
  reports: [],
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
  const found = new Map<string, {manifests: DatabaseBackupName[]; pinObjects: PinObject[]}>();
  const allReports: (FoundReport & {instance: string})[] = [];
  const of = (instance: string) => {
    const objects = found.get(instance) ?? {manifests: [], pinObjects: []};
    found.set(instance, objects);
    return objects;
  };
  for await (const key of vault.keys(backupPrefix)) {
    const pin = pinOfKey(key);
    if (pin !== undefined) of(pin.instance).pinObjects.push(pin);
    const parsed = parseDatabaseKey(key);
    if (parsed?.kind === 'instance') of(parsed.instance);
    if (parsed?.kind === 'manifest') of(parsed.instance).manifests.push(parsed.backup);
    if (parsed?.kind === 'report') {
      const {instance, backup, report} = parsed;
      allReports.push({...report, key, backup, instance});
    }
  }
  return Promise.all(
    [...found].map(async ([name, {manifests, pinObjects}]) => {
      const pins = (await readPins(vault, pinObjects)) as ReadonlyMap<DatabaseBackupName, Pin>;
      // A backup exists also if only its pin does: another bkp removed its manifest.
      const backups = [...new Set([...manifests, ...pins.keys()])].sort();
      const document = await readInstance(vault, name);
      const own = allReports.filter(({instance}) => instance === name);
      const lasting = backups.length === 0 ? new Set() : lastingReports(own);
      // Any other report of a backup that is gone, or never counted, waits for a cleanup.
      const reports = own
        .filter((report) => backups.includes(report.backup) || lasting.has(report))
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      const known = {name, backups, pins, pinObjects, reports};
      if (document instanceof BkpError) return {...known, dataId: undefined, fault: document};
      const {dataId, source} = document;
      return {...known, dataId, taken: source};
    }),
  );
}

function pinOfKey(key: Key): (PinObject & {instance: string}) | undefined {
  const instance = key.slice(backupPrefix.length, key.indexOf('/', backupPrefix.length));
  const pin = isInstanceName(instance) ? parsePinKey(instancePrefix(instance), key) : undefined;
  return pin !== undefined && isDatabaseBackupName(pin.backup) ? {...pin, instance} : undefined;
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
