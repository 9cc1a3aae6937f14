import {expect} from 'vitest';
import type {
  Cuts,
  DatabaseFacts,
  Mark,
  Segment,
  Snapshot,
  SnapshotOptions,
  Staging,
  TableSchema,
  TableSource,
} from '../../src/sources/index.ts';
import {rowStream} from './row-stream.ts';

/** A backup in memory, with everything that a real one has. */
export type Backup = {
  mark: Mark | undefined;
  schemas: readonly TableSchema[];
  database: DatabaseFacts;
  layers: Readonly<Record<string, readonly Layer[]>>;
};
export type Base = {kind: 'base'; segments: readonly KeptSegment[]; cuts: Cuts};
export type Layer = Base | {kind: 'delta'; keys: readonly KeptSegment[]; rows: readonly KeptSegment[]};
export type KeptSegment = {bytes: Uint8Array; rows: number; previous?: number | undefined};

/** Called between segments, to write from another connection. */
export type Meanwhile = () => void;

export async function takeFull(
  source: TableSource,
  options: SnapshotOptions & {previous?: Backup; meanwhile?: Meanwhile},
): Promise<Backup> {
  const {previous, meanwhile, ...asked} = options;
  const snapshot = await source.snapshot(asked);
  try {
    const layers: Record<string, Layer[]> = {};
    for (const {name} of snapshot.schemas) {
      layers[name] = [await keptBase(snapshot, name, previous, meanwhile)];
    }
    return {mark: snapshot.mark, schemas: snapshot.schemas, database: snapshot.database, layers};
  } finally {
    await snapshot.close();
  }
}

async function keptBase(
  snapshot: Snapshot,
  name: string,
  previous: Backup | undefined,
  meanwhile?: Meanwhile,
): Promise<Base> {
  const before = previous?.layers[name]?.[0];
  const stream = await rowStream(snapshot, name, before?.kind === 'base' ? before.cuts : undefined);
  const segments = await kept(stream, meanwhile);
  expect(rowsIn(segments), `rows of ${name}`).toBe(await snapshot.countRows(name));
  return {kind: 'base', segments, cuts: stream.cuts()};
}

export async function takeIncrement(
  source: TableSource,
  owner: string,
  parent: Backup,
  meanwhile?: Meanwhile,
): Promise<Backup> {
  const fingerprints = Object.fromEntries(parent.schemas.map((schema) => [schema.name, schema.fingerprint]));
  const snapshot = await source.snapshot({
    tables: parent.schemas.map((schema) => schema.name),
    track: {owner},
    since: {owner, mark: parent.mark!, fingerprints},
  });
  try {
    const layers: Record<string, readonly Layer[]> = {};
    for (const {name} of snapshot.schemas) {
      const delta = await snapshot.changes(name, parent.mark!);
      if (delta === 'rebase') {
        layers[name] = [await keptBase(snapshot, name, parent, meanwhile)];
        continue;
      }
      const keys = await kept(delta.keys, meanwhile);
      const rows = await kept(delta.rows, meanwhile);
      const touched = keys.length > 0;
      layers[name] = [...parent.layers[name]!, ...(touched ? [{kind: 'delta', keys, rows} as const] : [])];
    }
    return {mark: snapshot.mark, schemas: snapshot.schemas, database: snapshot.database, layers};
  } finally {
    await snapshot.close();
  }
}

/** Loads every layer and finishes; not yet published. */
export async function fillStaging(
  target: TableSource,
  backup: Backup,
  id = 'test',
  notice?: (text: string) => void,
): Promise<Staging> {
  const staging = await loadStaging(target, backup, id);
  try {
    await staging.finish({check: 'quick', ...(notice === undefined ? {} : {notice})});
    return staging;
  } catch (error) {
    await staging.discard();
    throw error;
  }
}

export async function loadStaging(target: TableSource, backup: Backup, id = 'test'): Promise<Staging> {
  const staging = await target.stage(backup.schemas, {id, database: backup.database});
  try {
    for (const [name, layers] of Object.entries(backup.layers)) {
      for (const layer of layers) {
        if (layer.kind === 'base') await load(staging, name, layer.segments);
        else {
          for (const {bytes, rows} of layer.keys) expect(await staging.removeKeys(name, bytes)).toBe(rows);
          await load(staging, name, layer.rows);
        }
      }
    }
    return staging;
  } catch (error) {
    await staging.discard();
    throw error;
  }
}

export async function restore(
  target: TableSource,
  backup: Backup,
  resume?: {owner: string; mark: Mark},
): Promise<void> {
  const staging = await fillStaging(target, backup);
  try {
    await staging.publish(resume === undefined ? {} : {resume});
  } finally {
    await staging.discard();
  }
}

export function baseOf(backup: Backup, table: string): Base {
  const layer = backup.layers[table]?.[0];
  if (layer?.kind !== 'base') throw new Error(`${table} has no base`);
  return layer;
}

/** Keys and rows of the newest delta. */
export function deltaSize(backup: Backup, table: string): {keys: number; rows: number} {
  const layer = backup.layers[table]!.at(-1)!;
  return layer.kind === 'base' ? {keys: 0, rows: 0} : {keys: rowsIn(layer.keys), rows: rowsIn(layer.rows)};
}

export function rowsIn(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segment.rows, 0);
}

async function load(staging: Staging, name: string, segments: readonly KeptSegment[]): Promise<void> {
  let rows = 0;
  for (const segment of segments) rows = (await staging.load(name, segment.bytes)) + rows;
  expect(rows).toBe(rowsIn(segments));
}

async function kept<S extends Segment>(stream: AsyncIterable<S>, meanwhile?: Meanwhile): Promise<S[]> {
  const all: S[] = [];
  for await (const segment of stream) {
    all.push(segment);
    meanwhile?.();
  }
  return all;
}
