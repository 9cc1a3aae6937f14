import * as v from 'valibot';
import {count, text} from '../../lib/schema.ts';
import type {StoredBase, StoredTree, TableName} from '../../sources/index.ts';
import {type BackupName, isBackupName} from './names.ts';

/** Position in the manifest's `streams`. */
export type StreamIndex = number;

/**
 * A stream of segments. `wide` contains, by position, the number of chunks of each segment that is too large
 * for one.
 */
export type SegmentStream = {stream: StreamIndex; segments: number; wide?: {readonly [segment: string]: number}};

/** All rows of a table at the time of `backup`. */
export type RowsBase = {
  kind: 'base';
  form?: 'rows';
  backup: BackupName;
  rows: number;
  data: SegmentStream;
  cuts: StreamIndex;
};

/** The records of one tree; each segment is one chunk. */
export type TreeRecords = StoredTree & {data: {stream: StreamIndex; segments: number}; cuts: StreamIndex};

/** All b-tree records of a table and of its indexes at the time of `backup`. The table's own tree is the first. */
export type RecordsBase = {
  kind: 'base';
  form: 'records';
  backup: BackupName;
  rows: number;
  trees: readonly TreeRecords[];
};

/** `keys`: changed keys; `rows`: those of them that have a row. */
export type Delta = {
  kind: 'delta';
  backup: BackupName;
  keys: number;
  rows: number;
  keyData: SegmentStream;
  rowData: SegmentStream;
};

/** One table's part of one backup. */
export type Layer = RowsBase | RecordsBase | Delta;

export const backupName = v.custom<BackupName>(
  (value) => typeof value === 'string' && isBackupName(value),
  'Invalid name',
);
const widePieces = v.record(v.pipe(v.string(), v.regex(/^\d+$/)), v.pipe(count, v.minValue(2)));
const segments = v.pipe(
  v.object({stream: count, segments: count, wide: v.exactOptional(widePieces)}),
  v.check(({segments, wide = {}}) => Object.keys(wide).every((at) => Number(at) < segments), 'Invalid wide segment'),
);
const rowsBase = v.object({
  kind: v.literal('base'),
  form: v.exactOptional(v.literal('rows')),
  backup: backupName,
  rows: count,
  data: segments,
  cuts: count,
});
const tree = v.object({
  // SQLite allows an empty name, here and for tables and views.
  name: text,
  kind: v.picklist(['rowid', 'key']),
  fingerprint: v.exactOptional(v.string()),
  records: count,
  data: v.object({stream: count, segments: count}),
  cuts: count,
});
const recordsBase = v.object({
  kind: v.literal('base'),
  form: v.literal('records'),
  backup: backupName,
  rows: count,
  trees: v.pipe(
    v.array(tree),
    v.nonEmpty(),
    v.check((trees) => new Set(trees.map(({name}) => name)).size === trees.length, 'Invalid trees: one twice'),
    v.check((trees) => trees.slice(1).every(({kind}) => kind === 'key'), 'Invalid trees: two with rowids'),
  ),
});
const delta = v.object({
  kind: v.literal('delta'),
  backup: backupName,
  keys: count,
  rows: count,
  keyData: segments,
  rowData: segments,
});
export const layersSchema = v.pipe(
  v.array(v.variant('kind', [v.variant('form', [rowsBase, recordsBase]), delta])),
  v.check((layers) => layers.findLastIndex(({kind}) => kind === 'base') === 0, 'Invalid layers: not one base, first'),
);

/** @returns what is wrong with the layers of a table that the schema accepts, undefined if nothing is */
export function faultOfLayers(table: TableName, layers: readonly Layer[]): string | undefined {
  const base = recordsBaseOf(layers);
  const own = base?.trees[0];
  if (own === undefined) return undefined;
  if (own.name !== table) return `the first tree of table ${table} is ${own.name}`;
  if (own.records !== base?.rows) return `table ${table} has ${base?.rows} rows in ${own.records} records`;
  return undefined;
}

/** The base, if it is one of records. */
export function recordsBaseOf([base]: readonly Layer[]): RecordsBase | undefined {
  return base?.kind === 'base' && base.form === 'records' ? base : undefined;
}

/** The base of records as its restore needs to know it, undefined for a base of rows. */
export function storedBaseOf(layers: readonly Layer[]): StoredBase | undefined {
  const base = recordsBaseOf(layers);
  if (base === undefined) return undefined;
  return {
    trees: base.trees.map(({name, kind, fingerprint, records}) => ({name, kind, fingerprint, records})),
    changedKeys: layers.reduce((sum, layer) => sum + (layer.kind === 'delta' ? layer.keys : 0), 0),
  };
}

/** The bases of records of some tables. @param options.changes at least one key changes later. Default false */
export function basesOf(
  tables: readonly {schema: {name: TableName}; layers: readonly Layer[]}[],
  {changes = false}: {changes?: boolean} = {},
): ReadonlyMap<TableName, StoredBase> {
  const bases = new Map<TableName, StoredBase>();
  for (const {schema, layers} of tables) {
    const base = storedBaseOf(layers);
    if (base !== undefined) bases.set(schema.name, changes ? {...base, changedKeys: base.changedKeys + 1} : base);
  }
  return bases;
}

/** Positions of all streams of a layer. */
export function streamsOf(layer: Layer): readonly StreamIndex[] {
  if (layer.kind === 'delta') return [layer.keyData.stream, layer.rowData.stream];
  if (layer.form === 'records') return layer.trees.flatMap(({data, cuts}) => [data.stream, cuts]);
  return [layer.data.stream, layer.cuts];
}

/** Positions of the streams of a layer that a restore loads. @param trees of a base of records; absent: all */
export function dataStreamsOf(layer: Layer, trees?: ReadonlySet<string>): readonly StreamIndex[] {
  if (layer.kind === 'delta') return [layer.keyData.stream, layer.rowData.stream];
  if (layer.form !== 'records') return [layer.data.stream];
  return layer.trees.filter(({name}) => trees?.has(name) ?? true).map(({data}) => data.stream);
}

/** The same layer with other positions of its streams. */
export function withStreams(layer: Layer, move: (stream: StreamIndex) => StreamIndex): Layer {
  const moved = <D extends {stream: StreamIndex}>(data: D): D => ({...data, stream: move(data.stream)});
  if (layer.kind === 'delta') return {...layer, keyData: moved(layer.keyData), rowData: moved(layer.rowData)};
  if (layer.form === 'records') {
    return {...layer, trees: layer.trees.map((tree) => ({...tree, data: moved(tree.data), cuts: move(tree.cuts)}))};
  }
  return {...layer, data: moved(layer.data), cuts: move(layer.cuts)};
}
