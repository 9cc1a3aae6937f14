import {BkpError} from '../errors/index.ts';
import type {DatabaseFacts, Mark, TableSchema} from '../sources/index.ts';
import type {JsonValue, Manifest, Recipe, VaultReader} from '../vault/index.ts';
import {type BackupName, type BackupType, manifestKey} from './names.ts';

/** Position in the manifest's `streams`. */
export type StreamIndex = number;

/** A stream of segments. A segment too large for one chunk takes several; `wide` says which, by position. */
export type SegmentStream = {stream: StreamIndex; segments: number; wide?: {readonly [segment: string]: number}};

/** One table's part of one backup. */
export type Layer =
  | {kind: 'base'; backup: BackupName; rows: number; data: SegmentStream; cuts: StreamIndex}
  /** `keys`: touched keys; `rows`: those of them that have a row. */
  | {kind: 'delta'; backup: BackupName; keys: number; rows: number; keyData: SegmentStream; rowData: SegmentStream};

export type TableBackup = {
  schema: TableSchema;
  /** Base first, then the deltas in time order: all that makes the table. */
  layers: readonly Layer[];
};

/** What the taking of this one backup cost and brought. */
export type BackupCost = {
  /** Rows written: all of them for a full, the changed ones for an incremental. */
  rows: number;
  deletedRows: number;
  /** Plain bytes of this backup's own layers. */
  logicalBytes: number;
  /** Bytes that came into the store for it. */
  storedBytes: number;
};

/** The body of a manifest of kind {@link manifestKind}; `docs/format.md` describes it. */
export type BackupBody = {
  version: 1;
  collection: {id: string; name: string};
  backup: BackupName;
  type: BackupType;
  /** The full backup this chain began with. */
  chain: BackupName;
  /** The backup before this one in the chain; absent for a full. */
  parent?: BackupName;
  takenAt: string;
  source: {description: string; identity?: string; database: DatabaseFacts};
  /** Where change tracking stood; absent when increments are not enabled. */
  mark?: Mark;
  tables: readonly TableBackup[];
  cost: BackupCost;
};

export const manifestKind = 'collection-backup';

/** A backup of a collection, read from its manifest. */
export type Backup = {body: BackupBody; streams: readonly Recipe[]};

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readBackup(vault: VaultReader, collection: string, name: BackupName): Promise<Backup> {
  const key = manifestKey(collection, name);
  const manifest = await vault.manifest(key);
  const body = manifest.body as unknown as BackupBody;
  if (manifest.kind !== manifestKind || body?.version !== 1) {
    throw new BkpError('STORE_REFUSED', `the manifest ${key} is of a kind that this bkp does not know`, {
      next: 'use the newer bkp that wrote it',
    });
  }
  return {body, streams: manifest.streams};
}

/** Collects the streams of a manifest while it is put together. */
export class StreamTable {
  readonly streams: Recipe[] = [];
  /** The same recipe twice is one stream: layers taken over from the parent come once. */
  readonly #known = new Map<string, StreamIndex>();

  add(recipe: Recipe): StreamIndex {
    const name = `${recipe.depth}:${recipe.sizeBytes}:${recipe.chunks.join()}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.streams.push(recipe);
    this.#known.set(name, this.streams.length - 1);
    return this.streams.length - 1;
  }

  /** A layer of another manifest, its stream positions made ours. */
  adopt(layer: Layer, from: readonly Recipe[]): Layer {
    const move = (stream: StreamIndex) => this.add(from[stream]!);
    const moveSegments = (data: SegmentStream) => ({...data, stream: move(data.stream)});
    return layer.kind === 'base'
      ? {...layer, data: moveSegments(layer.data), cuts: move(layer.cuts)}
      : {...layer, keyData: moveSegments(layer.keyData), rowData: moveSegments(layer.rowData)};
  }
}

export function toManifest(body: BackupBody, streams: readonly Recipe[]): Manifest {
  return {kind: manifestKind, streams, body: body as unknown as JsonValue};
}
