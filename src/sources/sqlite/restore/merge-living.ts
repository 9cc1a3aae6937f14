import {BkpError} from '../../../errors/index.ts';
import type {MergedTable, MergeMode} from '../../source.ts';
import {type Connection, withConnection} from '../engine/connection.ts';
import {quoteText} from '../engine/quote.ts';
import {requireSameComputation} from '../merge/computed.ts';
import {ForeignKeys} from '../merge/foreign-keys.ts';
import {livingTable} from '../merge/match.ts';
import {countMerge, exampleKeys, mergeTable, requireKeys} from '../merge/merge.ts';
import type {MergedPair} from '../merge/pair.ts';
import {pairsOf, swappedNames} from '../merge/pairs.ts';
import {computedIndexes, reindexAdvice} from '../schema/computed-indexes.ts';
import {virtualTables} from '../schema/objects.ts';
import type {KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {lockTimeoutMs, requireSameEncoding} from './publish.ts';
import {type Swap, swapTables} from './swap.ts';
import {rebuildTextIndexes} from './text-index.ts';
import {writeFromStaged} from './write-from-staged.ts';

export type MergePlan = {
  /** The database with the living tables. */
  target: string;
  /** The staging file with their state in the backup: complete, checked. */
  staged: string;
  /** As they are in the staging file. */
  tables: readonly Table[];
  mode: MergeMode;
  facts: KeptFacts;
};

/** `written`: versions of SQLite that have written the database and the backup. */
type LivingPlan = MergePlan & {written: readonly number[]};

/**
 * See `Staging.merge`.
 * @param swap the tables that were staged to replace living ones
 * @param options.release see `writeFromStaged`
 */
export function mergeIntoLiving(
  plan: LivingPlan,
  swap: Swap,
  {notice, release}: {notice: (text: string) => void; release: () => void},
): readonly MergedTable[] {
  const {mode, staged} = plan;
  return withLiving(plan, (connection) => {
    const merge = () => {
      const pairs = pairsOf(connection, plan.tables, mode);
      requireAsStaged(pairs, swap);
      if (mode === 'merge') for (const pair of pairs) requireKeys(connection, pair);
      for (const pair of pairs) requireSameComputation(connection, pair, plan.written);
      const keys = new ForeignKeys(connection, pairs);
      const isSwap = ({how}: MergedPair) => how.kind === 'swap';
      const count = ({table}: MergedPair) => connection.number(`SELECT count(*) FROM ${livingTable({table})}`);
      const deleted = pairs.filter(isSwap).map((pair) => ({pair, rows: count(pair)}));
      swapTables(connection, pairs, swap, notice);
      const swapped = deleted.map(({pair, rows}) => {
        return {name: pair.table.name, inserted: count(pair), updated: 0, deleted: rows, kept: 0};
      });
      const merged = pairs.filter((pair) => !isSwap(pair)).map((pair) => mergeTable(connection, pair, {mode, notice}));
      keys.requireNoNew(notice);
      refreshTextIndexes(connection, merged, notice);
      reportChecks(connection, merged, notice);
      reportComputed(connection, merged, plan, notice);
      const all = new Map([...swapped, ...merged].map((counts) => [counts.name, counts]));
      return pairs.map(({table}) => all.get(table.name)!);
    };
    return writeFromStaged(connection, staged, {write: merge, release});
  });
}

/** See `Staging.compare`. It waits for no lock and keeps no writer waiting. */
export function compareWithLiving(plan: MergePlan, examples: number): readonly MergedTable[] {
  const {mode} = plan;
  return withLiving(plan, (connection) => {
    connection.exec(`ATTACH ${quoteText(plan.staged)} AS staged`);
    return pairsOf(connection, plan.tables, mode).map((pair) => ({
      ...countMerge(connection, pair, mode),
      examples: exampleKeys(connection, pair, examples),
    }));
  });
}

function withLiving<T>({target, facts}: MergePlan, body: (connection: Connection) => T): T {
  return withConnection(target, {busyTimeoutMs: lockTimeoutMs}, (connection) => {
    connection.exec('PRAGMA ignore_check_constraints = ON');
    requireSameEncoding(connection, facts);
    return body(connection);
  });
}

/** @throws BkpError `BUSY` */
function requireAsStaged(pairs: readonly MergedPair[], {schemas}: Swap): void {
  const staged = new Set(schemas.map(({name}) => name));
  const now = swappedNames(pairs);
  const altered = pairs.find(({stored: {name}}) => staged.has(name) !== now.has(name));
  if (altered === undefined) return;
  throw new BkpError('BUSY', `table ${altered.table.name} was altered while the backup was read`, {
    cause: 'whether it is replaced with its schema was decided before; nothing was changed',
    next: 'give the statement again when the migration is over',
    retryable: true,
  });
}

/**
 * Rows of the backup come back even if a CHECK of the living table, which may be newer, does not allow them: a restore
 * of the whole table brings them too. The user must know.
 */
function reportChecks(connection: Connection, merged: readonly MergedTable[], notice: (text: string) => void): void {
  connection.exec('PRAGMA ignore_check_constraints = OFF');
  for (const {name, inserted, updated} of merged) {
    if (inserted + updated === 0) continue;
    const faults = connection.all(`PRAGMA main.quick_check(${quoteText(name)})`).flatMap((row) => Object.values(row));
    if (!faults.some((fault) => String(fault).startsWith('CHECK constraint failed'))) continue;
    notice(`${name} has rows that a CHECK of the table does not allow; PRAGMA integrity_check reports them too`);
  }
}

function reportComputed(
  connection: Connection,
  merged: readonly MergedTable[],
  {written}: LivingPlan,
  notice: (text: string) => void,
): void {
  const changed = merged.filter(({inserted, updated}) => inserted + updated > 0);
  const indexes = changed.flatMap(({name}) => computedIndexes(connection, name));
  const advice = reindexAdvice(connection, indexes, written);
  if (advice !== undefined) notice(advice);
}

/** Triggers usually keep a full-text index over a table up to date, and they did not fire. */
function refreshTextIndexes(
  connection: Connection,
  merged: readonly MergedTable[],
  notice: (text: string) => void,
): void {
  const changed = merged.filter(({inserted, updated, deleted}) => inserted + updated + deleted > 0);
  if (changed.length === 0) return;
  rebuildTextIndexes(connection, {tables: changed.map(({name}) => name), notice}, virtualTables(connection));
}
