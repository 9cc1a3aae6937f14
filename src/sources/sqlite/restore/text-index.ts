import type {TableName} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {moduleOption} from '../engine/sql-text.ts';
import {type VirtualTable, virtualTables} from '../schema/objects.ts';

/**
 * A full-text index over another table (content='…') finds that table's rows by their rowids. Its own tables
 * are restored unchanged, so it is valid if the rowids were restored too. It is rebuilt where they were not
 * (next to a key that is not INTEGER PRIMARY KEY), and where it existed in the target before its table was
 * restored.
 * @param tables that were restored
 * @param before virtual tables of the target before the restore
 * @returns the names of those that now match their tables
 */
export function rebuildTextIndexes(
  connection: Connection,
  {tables, notice}: {tables: readonly TableName[]; notice: (text: string) => void},
  before: readonly VirtualTable[],
): ReadonlySet<string> {
  const restored = new Set(tables.map(foldName));
  const older = new Set(before.map(({name}) => name));
  const fresh = new Set<string>();
  for (const {name, module, known, sql} of virtualTables(connection)) {
    const content = moduleOption(sql, 'content');
    if (!/^fts[345]$/i.test(module) || !known || content === undefined || !restored.has(foldName(content))) continue;
    if (!older.has(name) && keepsRowids(connection, content)) continue;
    try {
      connection.exec(`INSERT INTO main.${quoteName(name)} (${quoteName(name)}) VALUES ('rebuild')`);
      fresh.add(name);
      if (older.has(name)) notice(`full-text index ${name} was rebuilt over the restored rows of ${content}`);
    } catch (error) {
      notice(
        `full-text index ${name} does not match the restored rows of ${content}, and cannot be ` +
          `rebuilt here: ${(error as Error).message}`,
      );
    }
  }
  return fresh;
}

function keepsRowids(connection: Connection, table: string): boolean {
  const found = findTable(connection, table);
  return found.kind === 'table' && (found.table.key.kind === 'rowid' || found.table.withoutRowid);
}
