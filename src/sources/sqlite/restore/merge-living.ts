import type {MergedTable, MergeMode} from '../../source.ts';
import {type Connection, withConnection} from '../engine/connection.ts';
import {quoteText} from '../engine/quote.ts';
import {ForeignKeys} from '../merge/foreign-keys.ts';
import {countMerge, exampleKeys, mergeTable, requireKeys, requireLiving} from '../merge/merge.ts';
import {virtualTables} from '../schema/objects.ts';
import type {KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {lockTimeoutMs, requireSameEncoding} from './publish.ts';
import {rebuildTextIndexes} from './text-index.ts';

export type MergePlan = {
  /** The database with the living tables. */
  target: string;
  /** The staging file with their state in the backup: complete, checked. */
  staged: string;
  /** As they are in the staging file. */
  tables: readonly Table[];
  mode: MergeMode;
  /** Count, and change nothing. */
  dryRun: boolean;
  /** How many rows of each kind a dry run names. */
  examples: number;
  facts: KeptFacts;
  notice: (text: string) => void;
};

/** See `Staging.merge`. */
export function mergeIntoLiving(plan: MergePlan): readonly MergedTable[] {
  const {target, staged, facts, mode, notice} = plan;
  return withConnection(target, {busyTimeoutMs: lockTimeoutMs}, (connection) => {
    connection.exec('PRAGMA ignore_check_constraints = ON');
    requireSameEncoding(connection, facts);
    connection.exec(`ATTACH ${quoteText(staged)} AS staged`);
    return inTransaction(connection, plan.dryRun, () => {
      const tables = requireLiving(connection, plan.tables, mode);
      if (mode === 'merge') for (const table of tables) requireKeys(connection, table);
      if (plan.dryRun) {
        return tables.map((table) => ({
          ...countMerge(connection, table, mode),
          examples: exampleKeys(connection, table, plan.examples),
        }));
      }
      const keys = new ForeignKeys(connection, tables);
      const merged = tables.map((table) => mergeTable(connection, table, {mode, notice}));
      keys.requireNoNew();
      refreshTextIndexes(connection, merged, notice);
      reportChecks(connection, merged, notice);
      return merged;
    });
  });
}

/** A dry run waits for no lock and keeps no writer waiting. */
function inTransaction<T>(connection: Connection, dryRun: boolean, body: () => T): T {
  return dryRun ? body() : connection.write(body);
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
