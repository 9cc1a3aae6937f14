import type {Changes, Snapshot, StoredRows, TableName} from '../../sources/index.ts';
import {isDamage, unlessDamaged, type VaultReader} from '../../vault/index.ts';
import type {Delta, Layer} from '../stored/layers.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';
import {readSegments} from '../stored/segments.ts';
import {type FoldLimits, mostChangedKeys, planFold} from './fold.ts';
import {readPreviousBase, readPreviousSegment} from './previous-base.ts';
import {writeBase} from './write-base.ts';
import {type LayerSink, writeDelta} from './write-segments.ts';

export type Reading = {
  vault: VaultReader;
  sink: LayerSink;
  snapshot: Snapshot;
  fold: FoldLimits;
  signal: AbortSignal;
  notice: (text: string) => void;
  /** Tables that were not taken as records, with the reason. */
  asRows: Map<TableName, string>;
  /** Tables whose rows were compared with those of the backup before. */
  compared: Set<TableName>;
};

/** `changed`: what this backup adds, without what it repeats of merged deltas. */
export type TableLayers = {layers: readonly Layer[]; changed: {keys: number; rows: number}};

/** @param earlier the backup that the base may share chunks with */
export async function baseLayers(
  {vault, sink, snapshot, asRows}: Reading,
  table: TableName,
  earlier: Backup | undefined,
): Promise<TableLayers> {
  const previous = earlier === undefined ? undefined : await unlessDamaged(readPreviousBase(vault, earlier, table));
  const takenAsRows = (name: TableName, reason: string) => void asRows.set(name, reason);
  const base = await writeBase(sink, {snapshot, takenAsRows}, table, previous);
  return {layers: [base], changed: {keys: base.rows, rows: base.rows}};
}

/** Writes what was begun, once. */
export type WriteLayers = () => Promise<TableLayers>;

/**
 * Begins to read the layers of a table in an increment: those of the parent and a delta, or a new base. Only writing
 * must wait for that of other tables.
 */
export async function beginLayers(reading: Reading, table: TableName, parent: Backup): Promise<WriteLayers> {
  const {snapshot, notice} = reading;
  const rebase = () => baseLayers(reading, table, parent);
  const unlessDamage = (error: unknown) => {
    if (!isDamage(error)) throw error;
    notice(`all rows of ${table} are taken: its earlier changes cannot be read: ${error.message}`);
    return rebase();
  };
  const before = parent.body.tables.find(({schema}) => schema.name === table);
  // A table that joined, and one whose changes are tracked from this backup on.
  if (before === undefined || before.whole) return rebase;
  if (snapshot.compare !== undefined) {
    return async () => {
      const layers = await comparedLayers(reading, before, parent).catch(unlessDamage);
      return layers ?? rebase();
    };
  }
  const changes = await snapshot.changes(table, parent.body.mark!);
  const write = changes === 'rebase' ? undefined : deltaLayers(reading, before, changes, parent);
  return write === undefined ? rebase : () => write().catch(unlessDamage);
}

/** @returns undefined if the table should get a new base */
function deltaLayers(
  {vault, sink, fold, signal, notice}: Reading,
  {schema, layers}: TableBackup,
  changes: Changes,
  parent: Backup,
): WriteLayers | undefined {
  const plan = planFold(layers, changes.logged, fold);
  if (plan.rebase !== undefined) {
    notice(`all rows of ${schema.name} are taken: ${plan.rebase}`);
    return undefined;
  }
  const {kept, merged} = plan;
  async function* keysOfMerged() {
    for (const {keyData} of merged) yield* readSegments(vault, parent.streams, keyData, {signal});
  }
  const stream = changes.read(merged.length === 0 ? undefined : keysOfMerged());
  return async () => {
    const delta: Delta | undefined = await writeDelta(sink, stream);
    const adopted = kept.map((layer) => sink.streams.adopt(layer, parent.streams));
    return {layers: delta === undefined ? adopted : [...adopted, delta], changed: stream.changed()};
  };
}

/**
 * The base of the parent, and one delta with all that differs from it now.
 * @returns undefined if the table should get a new base
 */
async function comparedLayers(
  {vault, sink, snapshot, fold, signal, compared}: Reading,
  {schema, layers}: TableBackup,
  parent: Backup,
): Promise<TableLayers | undefined> {
  const [base] = layers;
  const previous = await readPreviousBase(vault, parent, schema.name);
  const rows = previous?.form === 'rows' ? previous.trees.get(schema.name) : undefined;
  if (base?.kind !== 'base' || rows === undefined) return undefined;
  const {streams} = parent;
  const stored: StoredRows = {
    cuts: rows.cuts,
    rows: base.rows,
    segments: rows.chunksOf.length,
    segment: (at) => readPreviousSegment(vault, rows, at),
    deltas: layers.flatMap((layer) => {
      if (layer.kind === 'base') return [];
      const {keyData, rowData} = layer;
      const read = (data: typeof keyData) => readSegments(vault, streams, data, {signal});
      return [{keys: read(keyData), rows: read(rowData)}];
    }),
  };
  const found = await snapshot.compare!(schema.name, stored, {mostKeys: mostChangedKeys(base.rows, fold)});
  if (found === 'rebase') return undefined;
  compared.add(schema.name);
  const {changed} = found;
  const adopt = (layer: Layer) => sink.streams.adopt(layer, streams);
  if (changed.keys === 0) return {layers: layers.map(adopt), changed};
  const delta = await writeDelta(sink, found.delta);
  return {layers: delta === undefined ? [adopt(base)] : [adopt(base), delta], changed};
}
