import * as v from 'valibot';
import {type ManifestShape, readManifest, writtenManifest} from '../../backups/index.ts';
import {count, name, opaque, type Schema, text, time} from '../../lib/schema.ts';
import {secondsText} from '../../lib/time.ts';
import {
  type DatabaseFacts,
  type Mark,
  type Origin,
  originSchema,
  type SchemaObject,
  type TableContent,
  type TableSchema,
} from '../../sources/index.ts';
import type {Manifest, Recipe, VaultReader} from '../../vault/index.ts';
import {backupName, faultOfLayers, type Layer, layersSchema, recordsBaseOf, streamsOf} from './layers.ts';
import {type BackupName, type BackupType, backupType, manifestKey, nameMs} from './names.ts';

export type TableBackup = {
  schema: TableSchema;
  /** Base first, then the deltas in time order. Together they are the table. */
  layers: readonly Layer[];
  /** What the layers together contain; absent if the backup does not know it, and in those of older versions. */
  content?: TableContent;
  /** Its changes are not tracked: the next increment takes all rows again. */
  whole?: true;
};

/** What this one backup cost and added. */
export type BackupCost = {
  /** Rows written: all rows for a full backup, the changed ones for an increment. */
  rows: number;
  deletedRows: number;
  /** Plain bytes of this backup's own layers. */
  logicalBytes: number;
  /** Bytes that it added to the store. */
  storedBytes: number;
};

/**
 * The lowest version whose readers restore the backup completely: 2 with `objects`, 3 with a base of records. Older
 * readers refuse it.
 */
export type BodyVersion = 1 | 2 | 3;

/** The body of a manifest of kind {@link manifestKind}; `docs/format.md` describes it. */
export type BackupBody = {
  version: BodyVersion;
  collection: {id: string; name: string};
  backup: BackupName;
  type: BackupType;
  /** The full backup that this chain starts with. */
  chain: BackupName;
  /** The backup before this one in the chain; absent for a full backup. */
  parent?: BackupName | undefined;
  takenAt: string;
  source: {
    description: string;
    identity?: string;
    origin?: Origin;
    database: DatabaseFacts;
  };
  /** The position of change tracking; absent if increments are not enabled. */
  mark?: Mark | undefined;
  tables: readonly TableBackup[];
  /** Views and virtual tables, created after the tables; absent if there are none. */
  objects?: readonly SchemaObject[] | undefined;
  /** Tables and objects that the database had, and EXCEPT left out; absent if there are none. */
  excepted?: readonly string[] | undefined;
  cost: BackupCost;
};

const newestVersion = 3;

export const manifestKind = 'collection-backup';

const tableSchema = v.object({name: text, fingerprint: text, definition: opaque});
export const bodySchema = v.object({
  version: v.picklist([1, 2, 3]),
  collection: v.object({id: name, name}),
  backup: backupName,
  type: v.picklist(['full', 'incremental']),
  chain: backupName,
  parent: v.exactOptional(backupName),
  takenAt: time,
  source: v.object({
    description: text,
    identity: v.exactOptional(text),
    origin: v.exactOptional(originSchema),
    database: opaque,
  }),
  mark: v.exactOptional(text),
  tables: v.pipe(
    v.array(
      v.object({
        schema: tableSchema,
        layers: layersSchema,
        content: v.exactOptional(v.object({rows: count, hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))})),
        whole: v.exactOptional(v.literal(true)),
      }),
    ),
    v.nonEmpty(),
    v.check(
      (tables) => new Set(tables.map(({schema}) => schema.name)).size === tables.length,
      'Invalid tables: one twice',
    ),
  ),
  objects: v.exactOptional(v.array(v.object({name: text, definition: opaque}))),
  excepted: v.exactOptional(v.array(text)),
  cost: v.object({rows: count, deletedRows: count, logicalBytes: count, storedBytes: count}),
});

/** The version that a body with these members must have. */
export function versionFor({tables, objects = []}: Pick<BackupBody, 'tables' | 'objects'>): BodyVersion {
  if (tables.some(({layers}) => recordsBaseOf(layers) !== undefined)) return 3;
  return objects.length > 0 ? 2 : 1;
}

/** A backup of a collection, read from its manifest. */
export type Backup = {body: BackupBody; streams: readonly Recipe[]};

/** The rows of a table at the time of the backup, if it recorded them. */
export function expectedRows({layers, content}: TableBackup): number | undefined {
  if (content !== undefined) return content.rows;
  const [base, ...deltas] = layers;
  return base?.kind === 'base' && deltas.length === 0 ? base.rows : undefined;
}

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readBackup(vault: VaultReader, collection: string, name: BackupName): Promise<Backup> {
  return readManifest(vault, manifestKey(collection, name), shape(collection, name));
}

const shape = (collection: string, name: BackupName): ManifestShape<BackupBody> => ({
  kind: manifestKind,
  version: newestVersion,
  // The source's own parts are opaque here: the source parses them.
  schema: bodySchema as unknown as Schema<BackupBody>,
  fault: (body, streams) => {
    // Restoring a manifest that was copied to another key would restore the wrong backup.
    if (body.collection.name !== collection) return `it is of collection ${body.collection.name}`;
    if (body.backup !== name) return `it is of backup ${body.backup}`;
    if (body.type !== backupType(name)) return `it is of an ${body.type} backup`;
    const used = body.tables.flatMap(({layers}) => layers.flatMap(streamsOf));
    if (used.some((stream) => stream >= streams.length)) return 'it names a stream that it does not have';
    if (body.version < 3 && versionFor(body) === 3) return `it has version ${body.version} and records`;
    return body.tables.map(({schema, layers}) => faultOfLayers(schema.name, layers)).find(Boolean);
  },
});

/**
 * When a backup was taken: milliseconds since 1970, in whole seconds. Its name is later than that if it had to
 * follow the name of a backup taken by a clock that was ahead.
 */
export function takenAtMs({backup, takenAt}: Pick<BackupBody, 'backup' | 'takenAt'>): number {
  return Math.min(nameMs(backup), Math.floor(Date.parse(takenAt) / 1000) * 1000);
}

/** The same as text: the one time of a backup that users see. */
export const takenAtText = (body: Pick<BackupBody, 'backup' | 'takenAt'>): string =>
  secondsText(takenAtMs(body) * 1000);

/** @throws BkpError `INTERNAL` for one that {@link readBackup} would refuse */
export function toManifest(body: BackupBody, streams: readonly Recipe[]): Manifest {
  return writtenManifest(body.backup, {body, streams}, shape(body.collection.name, body.backup));
}
