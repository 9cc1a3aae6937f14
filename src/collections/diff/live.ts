import {BkpError} from '../../errors/index.ts';
import {
  type BaseSegment,
  type BaseStream,
  type DeltaStream,
  openScratch,
  type ScratchTables,
  type Snapshot,
  type StoredBase,
  type TableBase,
  type TableName,
  type TableSchema,
  type TableSource,
  TakeRows,
} from '../../sources/index.ts';
import {chunkId} from '../../vault/index.ts';
import {memberTables, openListed} from '../backup/members.ts';
import {readPreviousBase} from '../backup/previous-base.ts';
import {createScratch} from '../read/load.ts';
import type {OpenedBackup} from '../read/opened.ts';
import type {Definition} from '../stored/definition.ts';
import {requireReadable} from '../stored/folder.ts';
import type {TableBackup} from '../stored/manifest.ts';
import type {After, LoadTools, SegmentId, TableAfter} from './side.ts';
import {deltasOf, loadWithout} from './stored.ts';

/** `definition`: undefined if it cannot be read; then the tables of the backup count. */
type Collection = {source: TableSource; definition: Definition | undefined};

type LiveOptions = {
  source: TableSource;
  signal: AbortSignal;
};

/**
 * The database now, in one snapshot; nothing is written to it. If its change log reaches back to the backup, only the
 * changes are read; otherwise all rows are.
 */
export async function liveAfter(before: OpenedBackup, options: LiveOptions): Promise<After> {
  const {source, signal} = options;
  const {definition} = await requireReadable(before.vault, before.collection);
  const present = () => tablesNow(before, {source, definition});
  const {snapshot, isSince} = await openListed('TABLE_NOT_FOUND', present, async (tables) => {
    const read = (since?: Parameters<TableSource['snapshot']>[0]['since']) =>
      // Its notices are about backups.
      source.snapshot({tables, since, whole: wholeOf(before), signal});
    return (await snapshotSince(before, definition, tables, read)) ?? {snapshot: await read(), isSince: false};
  });
  const stored = new Map(before.backup.body.tables.map((table) => [table.schema.name, table]));
  return {
    tables: new Map(
      snapshot.schemas.map((schema) => [
        schema.name,
        new LiveTable(before, {snapshot, schema, stored: stored.get(schema.name), isSince}),
      ]),
    ),
    confirm: () => snapshot.confirm(),
    close: () => snapshot.close(),
  };
}

/** The collection's tables that exist. */
async function tablesNow(before: OpenedBackup, {source, definition}: Collection): Promise<readonly TableName[]> {
  const stored = before.backup.body.tables.map(({schema}) => schema.name);
  if (definition?.members.kind === 'database') return (await memberTables(definition, source)).tables;
  const members = definition?.members.kind === 'tables' ? definition.members.tables : [];
  const facts = await source.describe([...new Set([...stored, ...members])]);
  const missing = facts.find((fact) => fact.state === 'absent' && fact.reason !== undefined);
  if (missing?.state === 'absent') {
    throw new BkpError('SOURCE_UNAVAILABLE', missing.reason!, {
      next: 'check the path of the source: bkp config get source',
    });
  }
  return [...new Set(facts.filter(({state}) => state === 'present').map(({name}) => name))];
}

const wholeOf = ({backup}: OpenedBackup) =>
  backup.body.tables.filter(({whole}) => whole === true).map(({schema}) => schema.name);

/** @returns undefined when the log does not reach back to the backup */
async function snapshotSince(
  {backup}: OpenedBackup,
  definition: Definition | undefined,
  tables: readonly TableName[],
  read: (since: {owner: string; mark: string; fingerprints: Record<TableName, string>}) => Promise<Snapshot>,
): Promise<{snapshot: Snapshot; isSince: boolean} | undefined> {
  const {mark, collection, tables: stored} = backup.body;
  if (mark === undefined || definition === undefined || collection.id !== definition.id) return undefined;
  const known = new Set(stored.map(({schema}) => schema.name));
  if (tables.length !== known.size || !tables.every((table) => known.has(table))) return undefined;
  const fingerprints = Object.fromEntries(stored.map(({schema}) => [schema.name, schema.fingerprint]));
  try {
    return {snapshot: await read({owner: definition.id, mark, fingerprints}), isSince: true};
  } catch (error) {
    if (error instanceof BkpError && error.code === 'CHAIN_BROKEN') return undefined;
    throw error;
  }
}

type LiveOf = {snapshot: Snapshot; schema: TableSchema; stored: TableBackup | undefined; isSince: boolean};

/** The rows of a delta that is read from the database. */
type LiveDelta = {keys: readonly Uint8Array[]; rows: DeltaStream['rows']};

class LiveTable implements TableAfter {
  readonly schema: TableSchema;
  readonly #before: OpenedBackup;
  readonly #snapshot: Snapshot;
  readonly #stored: TableBackup | undefined;
  readonly #isSince: boolean;
  /** Present if only the changes are read. */
  #delta: LiveDelta | undefined;

  constructor(before: OpenedBackup, {snapshot, schema, stored, isSince}: LiveOf) {
    this.#before = before;
    this.#snapshot = snapshot;
    this.schema = schema;
    this.#stored = stored;
    this.#isSince = isSince && stored !== undefined && stored.whole !== true;
  }

  async since(before: TableBackup): Promise<{equal: boolean; sharedDeltas: number}> {
    if (!this.#isSince) return {equal: false, sharedDeltas: 0};
    const changes = await this.#snapshot.changes(this.schema.name, this.#before.backup.body.mark!);
    if (changes === 'rebase') return {equal: false, sharedDeltas: 0};
    const delta = changes.read();
    const keys: Uint8Array[] = [];
    for await (const segment of delta.keys) if (segment.rows > 0) keys.push(segment.bytes);
    this.#delta = {keys, rows: delta.rows};
    return {equal: keys.length === 0, sharedDeltas: deltasOf(before).length};
  }

  async *changedKeys(): AsyncGenerator<Uint8Array> {
    yield* this.#delta?.keys ?? [];
  }

  load(tools: LoadTools, skip: ReadonlySet<SegmentId>) {
    return this.#delta === undefined ? this.#loadAll(tools, skip) : this.#loadChanged(tools, skip, this.#delta);
  }

  /** The backup's rows, and what changed since. */
  async #loadChanged(tools: LoadTools, skip: ReadonlySet<SegmentId>, delta: LiveDelta) {
    const table = {...this.#stored!, schema: this.schema};
    const scratch = await createScratch(this.#before, [table], {path: tools.path, changes: true});
    return discardingOnError(scratch, async () => ({
      scratch,
      skipped: await loadChanged(this.#before, {table, scratch, delta}, tools, skip),
    }));
  }

  /** Every row of the database; segments that the backup has too are read and not kept. */
  async #loadAll(tools: LoadTools, skip: ReadonlySet<SegmentId>) {
    const {name} = this.schema;
    const {vault, backup} = this.#before;
    const trees = this.#stored === undefined ? undefined : (await readPreviousBase(vault, backup, name))?.trees;
    const previous = trees && new Map([...trees].map(([tree, {cuts}]) => [tree, cuts]));
    tools.requireRoom(await this.#snapshot.estimatedBytes(name));
    const load = async (base: TableBase) => {
      const scratch = await this.#create(tools.path, base);
      return discardingOnError(scratch, async () => {
        const skipped = new Set<SegmentId>();
        await loadBase(scratch, {name, base, skip, skipped}, tools);
        await scratch.finish({signal: tools.signal});
        return {scratch, skipped};
      });
    };
    try {
      return await load(await this.#snapshot.base(name, {previous, withoutIndexes: true}));
    } catch (error) {
      if (!(error instanceof TakeRows)) throw error;
      return load(await this.#snapshot.base(name, {previous, form: 'rows'}));
    }
  }

  #create(path: string, base: TableBase): Promise<ScratchTables> {
    const bases = new Map<TableName, StoredBase>();
    if (base.form === 'records') {
      const {name, kind} = base.trees[0]!;
      bases.set(this.schema.name, {trees: [{name, kind, records: 0}], changedKeys: 0});
    }
    const {description} = this.#before.backup.body.source;
    return openScratch(description, {path, schemas: [this.schema], database: this.#snapshot.database, bases});
  }
}

async function loadChanged(
  before: OpenedBackup,
  {table, scratch, delta}: {table: TableBackup; scratch: ScratchTables; delta: LiveDelta},
  tools: LoadTools,
  skip: ReadonlySet<SegmentId>,
): Promise<ReadonlySet<SegmentId>> {
  const {name} = table.schema;
  const changes = async () => {
    for (const keys of delta.keys) await scratch.removeKeys(name, keys);
    for await (const {bytes} of delta.rows) await scratch.load(name, bytes);
  };
  return loadWithout(before, {table, scratch, changes}, tools, skip);
}

type BaseLoad = {name: TableName; base: TableBase; skip: ReadonlySet<SegmentId>; skipped: Set<SegmentId>};

async function loadBase(
  scratch: ScratchTables,
  {name, base, skip, skipped}: BaseLoad,
  tools: LoadTools,
): Promise<void> {
  const wanted = async function* (stream: BaseStream): AsyncGenerator<BaseSegment> {
    for await (const segment of stream) {
      tools.signal.throwIfAborted();
      tools.meter.bytes(segment.bytes.byteLength);
      const id = chunkId(segment.bytes);
      if (skip.has(id)) skipped.add(id);
      else yield segment;
      segment.release?.();
    }
  };
  if (base.form === 'rows') {
    for await (const {bytes} of wanted(base.rows)) await scratch.load(name, bytes);
    return;
  }
  const {name: tree, kind, records} = base.trees[0]!;
  await scratch.loadTree(name, {name: tree, kind}, bytesOf(wanted(records)));
}

async function* bytesOf(segments: AsyncIterable<BaseSegment>): AsyncGenerator<Uint8Array> {
  for await (const {bytes} of segments) yield bytes;
}

async function discardingOnError<T>(scratch: ScratchTables, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    await scratch.discard();
    throw error;
  }
}
