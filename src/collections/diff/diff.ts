import {startMeter, type WorkTools} from '../../backups/index.ts';
import type {RowChange, RowCounts, ScratchTables, TableName} from '../../sources/index.ts';
import {dataOf, readCuts} from '../read/base.ts';
import {createScratch, throughIndex} from '../read/load.ts';
import {namingDamage, type OpenedBackup} from '../read/opened.ts';
import type {TableBackup} from '../stored/manifest.ts';
import type {After, LoadTools, SegmentId, TableAfter} from './side.ts';
import {deltasOf, keysOf, loadWithout, segmentIds} from './stored.ts';

/** What happened to a table, and to its rows. */
export type TableDifference = RowCounts & {
  table: TableName;
  /** `dropped`: only the backup has it; `created`: only what came after it has it. */
  state: 'kept' | 'dropped' | 'created';
  /** How its schema changed, a phrase each. */
  schema: readonly string[];
};

export type DiffTools = Pick<WorkTools, 'signal' | 'progress'> &
  Pick<LoadTools, 'requireRoom'> & {
    /** The path of a file that does not exist, in a folder that the caller removes. */
    file: () => string;
  };

/** Segments of an index that are read for the keys of one segment of a delta; each has about 1 MiB. */
const mostEntries = 64;

/**
 * Compares a backup with another one, or with its database now, table by table. A segment of a base that both have is
 * not read unless a delta changes rows in it: so the cost grows with what changed.
 *
 * Why that is exact: let S be the segments that are left out on both sides. Both bases have the same rows in S. A key
 * that only one side's deltas change is in no segment of S, because the segment that could hold it is loaded. Deltas
 * that both sides share do the same to both. So a row in S is equal on both sides, or is replaced on both by a delta
 * that they share.
 * @param tables only these
 */
export async function* diffTables(
  tools: DiffTools,
  {before, after, tables}: {before: OpenedBackup; after: After; tables?: ReadonlySet<TableName> | undefined},
  rows?: (table: TableName, changes: Iterable<RowChange>) => void | Promise<void>,
): AsyncGenerator<TableDifference> {
  const old = new Map(before.backup.body.tables.map((table) => [table.schema.name, table]));
  const names = [...new Set([...old.keys(), ...after.tables.keys()])].sort();
  for (const name of names) {
    if (tables !== undefined && !tables.has(name)) continue;
    tools.signal.throwIfAborted();
    yield await compare(name, old.get(name), after.tables.get(name));
  }
  await after.confirm();

  async function compare(
    name: TableName,
    table: TableBackup | undefined,
    now: TableAfter | undefined,
  ): Promise<TableDifference> {
    const scratches: ScratchTables[] = [];
    try {
      if (table === undefined || now === undefined) return await single(name, {table, now, scratches});
      return await pair(name, {table, now, scratches});
    } finally {
      for (const scratch of scratches) await scratch.discard();
    }
  }

  async function pair(
    name: TableName,
    {table, now, scratches}: {table: TableBackup; now: TableAfter; scratches: ScratchTables[]},
  ): Promise<TableDifference> {
    const kept = {table: name, state: 'kept', added: 0, changed: 0, deleted: 0, schema: []} as const;
    const {equal, sharedDeltas} = await now.since(table);
    const hasSameSchema = statementsOf(table.schema.definition) === statementsOf(now.schema.definition);
    if (equal && hasSameSchema) return kept;
    const one = await createScratch(before, [table], {path: tools.file()});
    scratches.push(one);
    const load = loadTools(name);
    const skippable = await skippableSegments(table, {now, scratch: one, sharedDeltas, all: equal});
    const {scratch: other, skipped} = await now.load(load, skippable);
    scratches.push(other);
    await loadWithout(before, {table, scratch: one}, load, skipped);
    const schema = one.schemaChanges(other, name);
    if (one.hasSameKey(other, name)) {
      const counts = one.differences(other, name);
      await rows?.(name, one.changes(other, name));
      return {...kept, ...counts, schema};
    }
    await rows?.(name, allOf(one, name, 'deleted'));
    await rows?.(name, allOf(other, name, 'added'));
    const counts = {deleted: one.countRows(name), added: other.countRows(name)};
    return {...kept, ...counts, schema: [...schema, 'its key changed, so its rows are not compared one by one']};
  }

  /** A table that exists on one side only. */
  async function single(
    name: TableName,
    {table, now, scratches}: {table: TableBackup | undefined; now: TableAfter | undefined; scratches: ScratchTables[]},
  ): Promise<TableDifference> {
    const load = loadTools(name);
    let scratch: ScratchTables;
    if (table === undefined) {
      ({scratch} = await now!.load(load, new Set()));
      scratches.push(scratch);
    } else {
      scratch = await createScratch(before, [table], {path: tools.file()});
      scratches.push(scratch);
      await loadWithout(before, {table, scratch}, load, new Set());
    }
    const isGone = now === undefined;
    await rows?.(name, allOf(scratch, name, isGone ? 'deleted' : 'added'));
    const count = scratch.countRows(name);
    const counts = {added: isGone ? 0 : count, changed: 0, deleted: isGone ? count : 0};
    return {table: name, state: isGone ? 'dropped' : 'created', ...counts, schema: []};
  }

  /** The segments of the backup's base in which no key changed that only one side knows of. */
  async function skippableSegments(
    table: TableBackup,
    {now, scratch, sharedDeltas, all}: {now: TableAfter; scratch: ScratchTables; sharedDeltas: number; all: boolean},
  ): Promise<ReadonlySet<SegmentId>> {
    const {name, fingerprint} = table.schema;
    if (fingerprint !== now.schema.fingerprint) return new Set();
    const ids = await segmentIds(before, table);
    if (all) return new Set(ids);
    return namingDamage(before, name, async () => {
      const cuts = await readCuts(before.vault, before.backup, dataOf(table), tools.signal);
      const needed = new Set<number>();
      const indexed = {signal: tools.signal, most: mostEntries};
      for (const keys of [
        keysOf(before, deltasOf(table).slice(sharedDeltas), tools.signal),
        now.changedKeys(sharedDeltas),
      ]) {
        for await (const segment of keys) {
          tools.signal.throwIfAborted();
          const positions =
            scratch.segmentsOf(name, cuts, segment) ??
            (await throughIndex(before, {...{scratch, table, cuts}, ...indexed}, {keys: segment}));
          if (positions === undefined) return new Set();
          for (const at of positions) needed.add(at);
        }
      }
      return new Set(ids.filter((_, at) => !needed.has(at)));
    });
  }

  function loadTools(name: TableName): LoadTools {
    const progress: WorkTools['progress'] = (state) => tools.progress({...state, phase: name});
    const {signal, requireRoom} = tools;
    return {path: tools.file(), meter: startMeter({progress}, {itemsTotal: 1}), signal, requireRoom};
  }
}

/** What a schema consists of, without the counters that every insert changes. */
function statementsOf({sequence: _, sequenceRows: __, ...statements}: TableBackup['schema']['definition']): string {
  return JSON.stringify(statements);
}

function* allOf(scratch: ScratchTables, name: TableName, kind: 'added' | 'deleted'): Generator<RowChange> {
  const columns = scratch.columns(name);
  for (const values of scratch.rows(name)) {
    yield {kind, row: new Map(columns.map((column, at) => [column, values[at] ?? null]))};
  }
}
