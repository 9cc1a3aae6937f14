import * as v from 'valibot';
import {readManifest} from '../../backups/index.ts';
import {count, name, opaque, type Schema, text, time} from '../../lib/schema.ts';
import {
  type DatabaseFacts,
  type Mark,
  type Origin,
  originSchema,
  type SchemaObject,
  type TableSchema,
} from '../../sources/index.ts';
import type {JsonValue, Manifest, Recipe, VaultReader} from '../../vault/index.ts';
import {type BackupName, type BackupType, backupType, isBackupName, manifestKey, nameMs} from './names.ts';

/** Position in the manifest's `streams`. */
export type StreamIndex = number;

/**
 * A stream of segments. `wide` contains, by position, the number of chunks of each segment that is too large
 * for one.
 */
export type SegmentStream = {stream: StreamIndex; segments: number; wide?: {readonly [segment: string]: number}};

/** One table's part of one backup. */
export type Layer =
  | {kind: 'base'; backup: BackupName; rows: number; data: SegmentStream; cuts: StreamIndex}
  /** `keys`: changed keys; `rows`: those of them that have a row. */
  | {kind: 'delta'; backup: BackupName; keys: number; rows: number; keyData: SegmentStream; rowData: SegmentStream};

export type TableBackup = {
  schema: TableSchema;
  /** Base first, then the deltas in time order. Together they are the table. */
  layers: readonly Layer[];
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

/** The body of a manifest of kind {@link manifestKind}; `docs/format.md` describes it. */
export type BackupBody = {
  /** 2 with `objects`: a bkp that knows only version 1 would restore such a backup without them. */
  version: 1 | 2;
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
  cost: BackupCost;
};

const newestVersion = 2;

export const manifestKind = 'collection-backup';

const backupName = v.custom<BackupName>((value) => typeof value === 'string' && isBackupName(value), 'Invalid name');
const widePieces = v.record(v.pipe(v.string(), v.regex(/^\d+$/)), v.pipe(count, v.minValue(2)));
const segments = v.pipe(
  v.object({stream: count, segments: count, wide: v.exactOptional(widePieces)}),
  v.check(({segments, wide = {}}) => Object.keys(wide).every((at) => Number(at) < segments), 'Invalid wide segment'),
);
const base = v.object({kind: v.literal('base'), backup: backupName, rows: count, data: segments, cuts: count});
const delta = v.object({
  kind: v.literal('delta'),
  backup: backupName,
  keys: count,
  rows: count,
  keyData: segments,
  rowData: segments,
});
const layers = v.pipe(
  v.array(v.variant('kind', [base, delta])),
  v.check((layers) => layers.findLastIndex(({kind}) => kind === 'base') === 0, 'Invalid layers: not one base, first'),
);
const tableSchema = v.object({name, fingerprint: text, definition: opaque});
const bodySchema = v.object({
  version: v.picklist([1, 2]),
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
    v.array(v.object({schema: tableSchema, layers, whole: v.exactOptional(v.literal(true))})),
    v.nonEmpty(),
    v.check(
      (tables) => new Set(tables.map(({schema}) => schema.name)).size === tables.length,
      'Invalid tables: one twice',
    ),
  ),
  objects: v.exactOptional(v.array(v.object({name, definition: opaque}))),
  cost: v.object({rows: count, deletedRows: count, logicalBytes: count, storedBytes: count}),
});

/** A backup of a collection, read from its manifest. */
export type Backup = {body: BackupBody; streams: readonly Recipe[]};

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readBackup(vault: VaultReader, collection: string, name: BackupName): Promise<Backup> {
  // The source's own parts are opaque here: the source parses them.
  const schema = bodySchema as unknown as Schema<BackupBody>;
  return readManifest(vault, manifestKey(collection, name), {
    kind: manifestKind,
    version: newestVersion,
    schema,
    fault: (body, streams) => {
      // Restoring a manifest that was copied to another key would restore the wrong backup.
      if (body.collection.name !== collection) return `it is of collection ${body.collection.name}`;
      if (body.backup !== name) return `it is of backup ${body.backup}`;
      if (body.type !== backupType(name)) return `it is of an ${body.type} backup`;
      const used = body.tables.flatMap(({layers}) => layers.flatMap(streamsOf));
      return used.some((stream) => stream >= streams.length) ? 'it names a stream that it does not have' : undefined;
    },
  });
}

/**
 * When a backup was taken: milliseconds since 1970, in whole seconds. Its name is later than that if it had to
 * follow the name of a backup taken by a clock that was ahead.
 */
export function takenAtMs({backup, takenAt}: Pick<BackupBody, 'backup' | 'takenAt'>): number {
  return Math.min(nameMs(backup), Math.floor(Date.parse(takenAt) / 1000) * 1000);
}

/** Positions of all streams of a layer. */
export function streamsOf(layer: Layer): readonly StreamIndex[] {
  return layer.kind === 'base' ? [layer.data.stream, layer.cuts] : [layer.keyData.stream, layer.rowData.stream];
}

export function toManifest(body: BackupBody, streams: readonly Recipe[]): Manifest {
  return {kind: manifestKind, streams, body: body as unknown as JsonValue};
}
