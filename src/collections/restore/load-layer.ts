import type {Meter} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Staging} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import type {Backup, Layer, SegmentStream} from '../stored/manifest.ts';
import {readSegments} from '../stored/segments.ts';

export type LayerTarget = {vault: VaultReader; staging: Staging; meter: Meter; signal: AbortSignal};

/** @throws BkpError `OBJECT_DAMAGED` also if the layer does not contain as many rows as its manifest says */
export async function loadLayer(
  {vault, staging, meter, signal}: LayerTarget,
  {streams}: Backup,
  table: string,
  layer: Layer,
): Promise<void> {
  const each = async (data: SegmentStream, put: (segment: Uint8Array) => Promise<number>, rows: number) => {
    let loaded = 0;
    for await (const segment of readSegments(vault, streams, data, signal)) {
      signal.throwIfAborted();
      loaded += await put(segment);
      meter.bytes(segment.byteLength);
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
    await each(layer.data, (segment) => staging.load(table, segment), layer.rows);
    return;
  }
  // All changed keys are removed before any row is loaded, so no new row conflicts with an old one on another
  // unique index.
  await each(layer.keyData, (segment) => staging.removeKeys(table, segment), layer.keys);
  await each(layer.rowData, (segment) => staging.load(table, segment), layer.rows);
}

/** Plain bytes that {@link loadLayer} reads. */
export function bytesOfLayer({streams}: Backup, layer: Layer): number {
  const data = layer.kind === 'base' ? [layer.data] : [layer.keyData, layer.rowData];
  return data.reduce((sum, {stream}) => sum + streams[stream]!.sizeBytes, 0);
}
