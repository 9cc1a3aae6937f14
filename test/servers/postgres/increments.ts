import {BkpError} from '../../../src/errors/index.ts';
import type {Snapshot, TableSource} from '../../../src/sources/index.ts';
import {type Backup, takeIncrement} from '../../sources/layers.ts';

const owner = 'collection-1';

/** An increment of the owner collection-1, and what it lost: tables whose rows are not those of its own snapshot. */
export async function compared(
  source: TableSource,
  parent: Backup,
): Promise<{backup: Backup; lost: readonly string[]}> {
  let lost: readonly string[] = [];
  const check = async (snapshot: Snapshot, layers: Backup['layers']) => {
    lost = await differences(snapshot, layers);
  };
  const backup = await retried(() => takeIncrement(source, owner, parent, {check}));
  await source.acknowledge(owner, backup.mark!);
  return {backup, lost};
}

/** A schema that changes all the time, and a lock that is not free, are reported as such and can be retried. */
export async function retried<T>(take: () => Promise<T>): Promise<T> {
  for (let left = 10; ; left--) {
    try {
      return await take();
    } catch (error) {
      if (!(error instanceof BkpError) || error.code !== 'SOURCE_LOCKED' || left === 1) throw error;
    }
  }
}

export async function differences(snapshot: Snapshot, layers: Backup['layers']): Promise<readonly string[]> {
  const different: string[] = [];
  for (const table of Object.keys(layers)) {
    const truth = await snapshot.base(table);
    if (truth.form !== 'rows') throw new Error('not rows');
    const rows: string[] = [];
    for await (const {bytes, release} of truth.rows) {
      rows.push(...linesOf(bytes));
      release?.();
    }
    const {definition} = snapshot.schemas.find(({name}) => name === table)!;
    const taken = rowsOf(layers[table]!, (definition.key as readonly string[]).length);
    if (rows.toSorted().join('\n') !== taken.toSorted().join('\n')) different.push(table);
  }
  return different;
}

/** @param parts columns of the key, which are the first ones of a row */
function rowsOf(layers: Backup['layers'][string], parts: number): readonly string[] {
  const byKey = new Map<string, string>();
  const add = (row: string) => byKey.set(row.split('\t').slice(0, parts).join('\t'), row);
  for (const layer of layers) {
    if (layer.kind === 'base') {
      if (layer.form !== 'records') for (const {bytes} of layer.segments) linesOf(bytes).forEach(add);
      continue;
    }
    for (const {bytes} of layer.keys) for (const key of linesOf(bytes)) byKey.delete(key);
    for (const {bytes} of layer.rows) linesOf(bytes).forEach(add);
  }
  return [...byKey.values()];
}

const linesOf = (bytes: Uint8Array) => Buffer.from(bytes).toString().split('\n').slice(0, -1);
