import type {Meter} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Staging, TableName} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Layer, recordsBaseOf, type SegmentStream, type TreeRecords} from '../stored/layers.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';
import {type FirstSegments, readSegments} from '../stored/segments.ts';

export type LayerTarget = {vault: VaultReader; staging: Staging; meter: Meter; signal: AbortSignal};

/** The segments that an interrupted restore has applied, in the order of all layers of all tables. */
export class AppliedSegments {
  readonly #left: {bytes: number; count: number}[];

  constructor(staging: Staging) {
    this.#left = [...(staging.applied?.() ?? [])];
  }

  get bytes(): number {
    return this.#left.reduce((sum, {bytes}) => sum + bytes, 0);
  }

  /** Those of the next stream. @returns `count`: what is in them */
  take(segments: number): FirstSegments & {count: number} {
    const taken = this.#left.splice(0, segments);
    const sum = (of: (one: {bytes: number; count: number}) => number) => taken.reduce((all, one) => all + of(one), 0);
    return {segments: taken.length, bytes: sum(({bytes}) => bytes), count: sum(({count}) => count)};
  }
}

/** Loads the trees of a base of records that the staging wants. */
export async function loadTrees(
  {vault, staging, meter, signal}: LayerTarget,
  {streams}: Backup,
  table: TableBackup,
): Promise<void> {
  async function* chunksOf({data}: TreeRecords, after: {chunks: number; bytes: number}) {
    const first = {segments: after.chunks, bytes: after.bytes};
    for await (const chunk of readSegments(vault, streams, data, {signal, borrowed: true, after: first})) {
      signal.throwIfAborted();
      const {byteLength} = chunk;
      yield chunk;
      meter.bytes(byteLength);
    }
  }
  for (const tree of wantedTrees(staging, table)) {
    signal.throwIfAborted();
    const {name, kind, fingerprint, records} = tree;
    const stored = {name, kind, fingerprint, records};
    const present = presentOf(staging, tree);
    if (present !== 'all') await staging.loadTree(table.schema.name, stored, chunksOf(tree, present));
  }
}

/**
 * Loads a layer, except for a base of records, which {@link loadTrees} loads.
 * @throws BkpError `OBJECT_DAMAGED` also if the layer does not contain as many rows as its manifest says
 */
export async function loadLayer(
  {
    vault,
    staging,
    meter,
    signal,
    applied,
  }: Omit<LayerTarget, 'staging'> & {
    staging: Pick<Staging, 'load' | 'removeKeys'>;
    applied?: AppliedSegments | undefined;
  },
  {streams}: Backup,
  table: TableName,
  layer: Layer,
): Promise<void> {
  const each = async (data: SegmentStream, put: (segment: Uint8Array) => Promise<number>, rows: number) => {
    const after = applied?.take(data.segments);
    let loaded = after?.count ?? 0;
    const from = {signal, borrowed: true, ...(after === undefined ? {} : {after})};
    for await (const segment of readSegments(vault, streams, data, from)) {
      signal.throwIfAborted();
      const {byteLength} = segment;
      loaded += await put(segment);
      meter.bytes(byteLength);
    }
    if (loaded === rows) return;
    throw new BkpError(
      'OBJECT_DAMAGED',
      `table ${table}: a layer of ${layer.backup} contains ${loaded} rows instead of ${rows}`,
      {
        next: 'restore another backup, and report this: the bytes are those that were written',
        context: {table, backup: layer.backup},
      },
    );
  };
  if (layer.kind === 'base') {
    if (layer.form === 'records') return;
    await each(layer.data, (segment) => staging.load(table, segment), layer.rows);
    return;
  }
  // All changed keys are removed before any row is loaded, so no new row conflicts with an old one on another
  // unique index.
  await each(layer.keyData, (segment) => staging.removeKeys(table, segment), layer.keys);
  await each(layer.rowData, (segment) => staging.load(table, segment), layer.rows);
}

/** Plain bytes that {@link loadTrees} and {@link loadLayer} read of a table. */
export function bytesToLoad(staging: Staging, {streams}: Backup, table: TableBackup): number {
  const layers = table.layers.flatMap((layer) => {
    if (layer.kind === 'delta') return [layer.keyData, layer.rowData];
    return layer.form === 'records' ? [] : [layer.data];
  });
  const data = [...wantedTrees(staging, table).map((tree) => tree.data), ...layers];
  return data.reduce((sum, {stream}) => sum + streams[stream]!.sizeBytes, 0);
}

/** Bytes of {@link bytesToLoad} that an interrupted restore has loaded. */
export function bytesPresent(staging: Staging, {streams}: Backup, table: TableBackup): number {
  return wantedTrees(staging, table).reduce((sum, tree) => {
    const present = presentOf(staging, tree);
    return sum + (present === 'all' ? streams[tree.data.stream]!.sizeBytes : present.bytes);
  }, 0);
}

function presentOf(staging: Staging, {name, kind, fingerprint, records}: TreeRecords) {
  return staging.present?.({name, kind, fingerprint, records}) ?? {chunks: 0, bytes: 0};
}

/** In the order of the base. */
function wantedTrees(staging: Staging, {schema, layers}: TableBackup): readonly TreeRecords[] {
  const base = recordsBaseOf(layers);
  if (base === undefined) return [];
  const wanted = new Set(staging.wanted(schema.name).map(({name}) => name));
  return base.trees.filter(({name}) => wanted.has(name));
}
