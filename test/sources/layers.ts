import {expect} from 'vitest';
import {
  type BaseSegment,
  type BaseStream,
  type Cuts,
  type DatabaseFacts,
  type Mark,
  type MergedTable,
  type MergeMode,
  type SchemaObject,
  type Segment,
  type Snapshot,
  type SnapshotOptions,
  type Staging,
  type StoredBase,
  type TableBase,
  type TableContent,
  type TableSchema,
  type TableSource,
  TakeRows,
  type Tree,
} from '../../src/sources/index.ts';

/** A backup in memory, with everything that a real one has. */
export type Backup = {
  mark: Mark | undefined;
  schemas: readonly TableSchema[];
  /** Views and all else that is created after the tables. */
  objects?: readonly SchemaObject[];
  database: DatabaseFacts;
  layers: Readonly<Record<string, readonly Layer[]>>;
  /** What each table contains, where the source knows it. */
  contents: ReadonlyMap<string, TableContent>;
};
export type KeptStream = {segments: readonly KeptSegment[]; cuts: Cuts};
export type RowsBase = KeptStream & {kind: 'base'; form?: 'rows'};
export type RecordsBase = {kind: 'base'; form: 'records'; trees: readonly (Tree & KeptStream)[]};
export type Base = RowsBase | RecordsBase;
export type Layer = Base | {kind: 'delta'; keys: readonly KeptSegment[]; rows: readonly KeptSegment[]};
export type KeptSegment = {bytes: Uint8Array; rows: number; previous?: number | undefined};

/** In which form bases are taken; default: as the source chooses. */
export type Form = 'rows' | undefined;

/** Called between segments, to write from another connection. */
export type Meanwhile = () => void;

export async function takeFull(
  source: TableSource,
  options: SnapshotOptions & {previous?: Backup; meanwhile?: Meanwhile; form?: Form},
): Promise<Backup> {
  const {previous, meanwhile, form, ...asked} = options;
  const snapshot = await source.snapshot(asked);
  try {
    const layers: Record<string, Layer[]> = {};
    for (const {name} of snapshot.schemas) {
      layers[name] = [await keptBase(snapshot, name, {previous, meanwhile, form})];
    }
    const contents = await contentsOf(snapshot);
    await snapshot.confirm();
    const {mark, schemas, objects, database} = snapshot;
    return {mark, schemas, objects, database, layers, contents};
  } finally {
    await snapshot.close();
  }
}

async function contentsOf(snapshot: Snapshot): Promise<ReadonlyMap<string, TableContent>> {
  const contents = new Map<string, TableContent>();
  for (const {name} of snapshot.schemas) {
    const found = await snapshot.content(name, {mostBytes: Number.POSITIVE_INFINITY});
    if (found !== undefined) contents.set(name, found.content);
  }
  return contents;
}

type KeepOptions = {previous: Backup | undefined; meanwhile?: Meanwhile | undefined; form: Form};

async function keptBase(snapshot: Snapshot, name: string, options: KeepOptions): Promise<Base> {
  const {meanwhile, form} = options;
  const earlier = options.previous?.layers[name]?.[0];
  const previous = cutsOf(earlier, name);
  const mark = options.previous?.mark;
  const takeOver = mark === undefined ? undefined : {mark, isKept: () => true};
  let taken = await snapshot.base(name, {previous, form, takeOver});
  try {
    if (taken.form === 'records') return await keptRecords(taken, meanwhile);
  } catch (error) {
    if (!(error instanceof TakeRows)) throw error;
    taken = await snapshot.base(name, {previous, form: 'rows', takeOver});
  }
  if (taken.form === 'records') throw new Error(`${name} was not taken as rows`);
  const before = earlier?.kind === 'base' && earlier.form !== 'records' ? earlier.segments : [];
  const rows = await keptStream(taken.rows, meanwhile, before);
  expect(rowsIn(rows.segments), `rows of ${name}`).toBe(await snapshot.countRows(name));
  return {kind: 'base', form: 'rows', ...rows};
}

async function keptRecords({trees}: TableBase & {form: 'records'}, meanwhile?: Meanwhile): Promise<RecordsBase> {
  const all: (Tree & KeptStream)[] = [];
  for (const {records, ...tree} of trees) all.push({...tree, ...(await keptStream(records, meanwhile))});
  return {kind: 'base', form: 'records', trees: all};
}

async function keptStream(
  stream: BaseStream,
  meanwhile?: Meanwhile,
  before: readonly KeptSegment[] = [],
): Promise<KeptStream> {
  return {segments: await kept(stream, meanwhile, before), cuts: stream.cuts()};
}

function cutsOf(layer: Layer | undefined, table: string): ReadonlyMap<string, Cuts> | undefined {
  if (layer?.kind !== 'base') return undefined;
  return layer.form === 'records'
    ? new Map(layer.trees.map(({name, cuts}) => [name, cuts]))
    : new Map([[table, layer.cuts]]);
}

export type IncrementOptions = {
  meanwhile?: Meanwhile | undefined;
  form?: Form;
  notice?: (text: string) => void;
  /** Called with what was taken, before the snapshot is closed. */
  check?: (snapshot: Snapshot, layers: Backup['layers']) => Promise<void>;
};

export async function takeIncrement(
  source: TableSource,
  owner: string,
  parent: Backup,
  {meanwhile, form, notice, check}: IncrementOptions = {},
): Promise<Backup> {
  const fingerprints = Object.fromEntries(parent.schemas.map((schema) => [schema.name, schema.fingerprint]));
  const snapshot = await source.snapshot({
    tables: parent.schemas.map((schema) => schema.name),
    track: {owner},
    since: {owner, mark: parent.mark!, fingerprints},
    notice,
    allRows: (table, why) => notice?.(`all rows of ${table} are taken: ${why}`),
  });
  try {
    const layers: Record<string, readonly Layer[]> = {};
    for (const {name} of snapshot.schemas) {
      const compared = await comparedLayers(snapshot, name, parent);
      if (compared !== undefined && compared !== 'rebase') {
        layers[name] = compared;
        continue;
      }
      const changes = compared ?? (await snapshot.changes(name, parent.mark!));
      if (changes === 'rebase') {
        layers[name] = [await keptBase(snapshot, name, {previous: parent, meanwhile, form})];
        continue;
      }
      const delta = changes.read();
      const keys = await kept(delta.keys, meanwhile);
      const rows = await kept(delta.rows, meanwhile);
      const touched = keys.length > 0;
      layers[name] = [...parent.layers[name]!, ...(touched ? [{kind: 'delta', keys, rows} as const] : [])];
    }
    await check?.(snapshot, layers);
    const contents = await contentsOf(snapshot);
    await snapshot.confirm();
    return {mark: snapshot.mark, schemas: snapshot.schemas, database: snapshot.database, layers, contents};
  } finally {
    await snapshot.close();
  }
}

/** Of a source without a log of changes: the base, and one delta with all that differs from it. */
async function comparedLayers(
  snapshot: Snapshot,
  name: string,
  parent: Backup,
): Promise<readonly Layer[] | 'rebase' | undefined> {
  if (snapshot.compare === undefined) return undefined;
  const [base, ...deltas] = parent.layers[name]!;
  if (base?.kind !== 'base' || base.form === 'records') return 'rebase';
  async function* bytesOf(segments: readonly KeptSegment[]) {
    for (const {bytes} of segments) yield bytes;
  }
  const rows = rowsIn(base.segments);
  const found = await snapshot.compare(
    name,
    {
      cuts: base.cuts,
      rows,
      segments: base.segments.length,
      segment: async (at) => base.segments[at]!.bytes,
      deltas: deltas.flatMap((layer) =>
        layer.kind === 'base' ? [] : [{keys: bytesOf(layer.keys), rows: bytesOf(layer.rows)}],
      ),
    },
    {mostKeys: Math.max(1000, rows / 8)},
  );
  if (found === 'rebase') return 'rebase';
  if (found.changed.keys === 0) return parent.layers[name]!;
  const keys = await kept(found.delta.keys);
  return keys.length === 0 ? [base] : [base, {kind: 'delta', keys, rows: await kept(found.delta.rows)}];
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
    const finished = await staging.finish({
      check: 'quick',
      contentOf: new Set(backup.contents.keys()),
      ...(notice === undefined ? {} : {notice}),
    });
    for (const {name, content = backup.contents.get(name)} of finished) {
      expect(content, `the content of ${name}`).toEqual(backup.contents.get(name));
    }
    return staging;
  } catch (error) {
    await staging.discard();
    throw error;
  }
}

export async function loadStaging(
  target: TableSource,
  backup: Backup & {published?: ReadonlyMap<string, TableSchema>},
  id = 'test',
  mode?: MergeMode,
): Promise<Staging> {
  const bases = basesOf(backup);
  const {database, objects = [], published = new Map()} = backup;
  const staging = await target.stage(backup.schemas, {id, database, objects, bases, published, mode});
  try {
    for (const [name, [base]] of Object.entries(backup.layers)) {
      if (base?.kind === 'base' && base.form === 'records') await loadTrees(staging, name, base);
    }
    for (const [name, layers] of Object.entries(backup.layers)) {
      for (const layer of layers) {
        if (layer.kind === 'base') {
          if (layer.form !== 'records') await load(staging, name, layer.segments);
        } else {
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

/** What a staging must know about bases of records. */
export function basesOf({layers}: Backup): ReadonlyMap<string, StoredBase> {
  const bases = new Map<string, StoredBase>();
  for (const [table, [base, ...deltas]] of Object.entries(layers)) {
    if (base?.kind !== 'base' || base.form !== 'records') continue;
    const trees = base.trees.map(({segments, cuts: _, ...tree}) => ({...tree, records: rowsIn(segments)}));
    bases.set(table, {trees, changedKeys: deltas.reduce((sum, delta) => sum + keysIn(delta), 0)});
  }
  return bases;
}

const keysIn = (layer: Layer) => (layer.kind === 'delta' ? rowsIn(layer.keys) : 0);

async function loadTrees(staging: Staging, table: string, {trees}: RecordsBase): Promise<void> {
  const wanted = new Set(staging.wanted(table).map(({name}) => name));
  for (const {segments, cuts: _, ...tree} of trees) {
    if (!wanted.has(tree.name)) continue;
    await staging.loadTree(table, {...tree, records: rowsIn(segments)}, lent(segments));
  }
}

/** Memory that is used again when the next chunk is requested, as a vault does. */
async function* lent(segments: readonly KeptSegment[]): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(Math.max(0, ...segments.map(({bytes}) => bytes.length)));
  for (const {bytes} of segments) {
    memory.set(bytes);
    yield memory.subarray(0, bytes.length);
    memory.fill(0xa5);
  }
}

/** Brings the living tables to their state in the backup. */
export async function merge(
  target: TableSource,
  backup: Backup,
  mode: MergeMode,
  {dryRun = false, notice}: {dryRun?: boolean; notice?: (text: string) => void} = {},
): Promise<readonly MergedTable[]> {
  const staging = await loadStaging(target, backup, 'merge', mode);
  try {
    await staging.finish({check: 'quick'});
    return await staging.merge({dryRun, notice});
  } finally {
    await staging.discard();
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

/** The base of a table that was taken as rows. */
export function baseOf(backup: Backup, table: string): RowsBase {
  const layer = backup.layers[table]?.[0];
  if (layer?.kind !== 'base' || layer.form === 'records') throw new Error(`${table} has no base of rows`);
  return layer;
}

/** The rows of a table's base, or its trees, the table's own first. */
export function streamsOf(backup: Backup, table: string): readonly KeptStream[] {
  const layer = backup.layers[table]?.[0];
  if (layer?.kind !== 'base') throw new Error(`${table} has no base`);
  return layer.form === 'records' ? layer.trees : [layer];
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

/** @param before the segments of the previous base, for those that were not read */
async function kept(
  stream: AsyncIterable<BaseSegment>,
  meanwhile?: Meanwhile,
  before: readonly KeptSegment[] = [],
): Promise<KeptSegment[]> {
  const all: KeptSegment[] = [];
  for await (const {release, isUnchanged, ...segment} of stream) {
    if (isUnchanged) all.push({...segment, bytes: before[segment.previous!]!.bytes});
    else all.push(release === undefined ? segment : {...segment, bytes: Buffer.from(segment.bytes)});
    release?.();
    meanwhile?.();
  }
  return all;
}
