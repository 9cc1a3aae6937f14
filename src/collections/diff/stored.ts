import {isDeepStrictEqual} from 'node:util';
import type {ScratchTables} from '../../sources/index.ts';
import {dataOf, segmentChunks} from '../read/base.ts';
import {bytesOf, createScratch, loadTables} from '../read/load.ts';
import {namingDamage, type OpenedBackup} from '../read/opened.ts';
import type {Delta, Layer} from '../stored/layers.ts';
import type {TableBackup} from '../stored/manifest.ts';
import {readSegments} from '../stored/segments.ts';
import type {After, LoadTools, SegmentId, TableAfter} from './side.ts';

export function deltasOf({layers}: TableBackup): readonly Delta[] {
  return layers.filter((layer) => layer.kind === 'delta');
}

/** The segments of a table's base, in order. */
export async function segmentIds(opened: OpenedBackup, table: TableBackup): Promise<readonly SegmentId[]> {
  const segments = await namingDamage(opened, table.schema.name, () =>
    segmentChunks(opened.vault, opened.backup, dataOf(table)),
  );
  return segments.map((chunks) => chunks.join());
}

/** The keys of some deltas. */
export async function* keysOf(
  {vault, backup}: OpenedBackup,
  deltas: readonly Delta[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const {keyData} of deltas) yield* readSegments(vault, backup.streams, keyData, {signal});
}

/**
 * Loads a table of a backup without some segments of its base.
 * @param changes applies what follows the backup
 */
export async function loadWithout(
  opened: OpenedBackup,
  {table, scratch, changes}: {table: TableBackup; scratch: ScratchTables; changes?: () => Promise<void>},
  {meter, signal, requireRoom}: Omit<LoadTools, 'path'>,
  skip: ReadonlySet<SegmentId>,
): Promise<ReadonlySet<SegmentId>> {
  const ids = await segmentIds(opened, table);
  const skipped = ids.filter((id) => skip.has(id));
  const segments = skipped.length === 0 ? undefined : [...ids.keys()].filter((at) => !skip.has(ids[at]!));
  requireRoom(bytesOf(opened, [{table, segments}]));
  await loadTables(opened, {scratch, meter, signal}, [{table, segments}], changes);
  return new Set(skipped);
}

/** The tables of a backup. */
export function storedAfter(opened: OpenedBackup, before: OpenedBackup, signal: AbortSignal): After {
  const {tables} = opened.backup.body;
  return {
    tables: new Map(tables.map((table) => [table.schema.name, new StoredTable(opened, {before, table, signal})])),
    confirm: async () => {},
    close: async () => {},
  };
}

class StoredTable implements TableAfter {
  readonly #opened: OpenedBackup;
  readonly #before: OpenedBackup;
  readonly #table: TableBackup;
  readonly #signal: AbortSignal;

  constructor(
    opened: OpenedBackup,
    {before, table, signal}: {before: OpenedBackup; table: TableBackup; signal: AbortSignal},
  ) {
    this.#opened = opened;
    this.#before = before;
    this.#table = table;
    this.#signal = signal;
  }

  get schema() {
    return this.#table.schema;
  }

  async since(before: TableBackup): Promise<{equal: boolean; sharedDeltas: number}> {
    const [old, now] = [before.layers, this.#table.layers];
    if (before.schema.fingerprint !== this.schema.fingerprint || !this.#isSame(old[0]!, now[0]!))
      return {equal: false, sharedDeltas: 0};
    let shared = 1;
    while (shared < Math.min(old.length, now.length) && this.#isSame(old[shared]!, now[shared]!)) shared++;
    return {equal: shared === old.length && shared === now.length, sharedDeltas: shared - 1};
  }

  /** Whether two layers have the same bytes. */
  #isSame(old: Layer, now: Layer): boolean {
    const [before, after] = [this.#before.backup.streams, this.#opened.backup.streams];
    if (old.kind === 'delta' && now.kind === 'delta') {
      return (
        isDeepStrictEqual(before[old.keyData.stream], after[now.keyData.stream]) &&
        isDeepStrictEqual(before[old.rowData.stream], after[now.rowData.stream])
      );
    }
    if (old.kind !== 'base' || now.kind !== 'base') return false;
    const [one, other] = [old, now].map((layer) => dataOf({schema: this.schema, layers: [layer]}));
    return isDeepStrictEqual(before[one!.data.stream], after[other!.data.stream]);
  }

  changedKeys(sharedDeltas: number): AsyncIterable<Uint8Array> {
    return keysOf(this.#opened, deltasOf(this.#table).slice(sharedDeltas), this.#signal);
  }

  async load(tools: LoadTools, skip: ReadonlySet<SegmentId>) {
    const scratch = await createScratch(this.#opened, [this.#table], {path: tools.path});
    try {
      const skipped = await loadWithout(this.#opened, {table: this.#table, scratch}, tools, skip);
      return {scratch, skipped};
    } catch (error) {
      await scratch.discard();
      throw error;
    }
  }
}
