import {tableNames} from '../catalog/catalog.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {foldName, quoteName, quoteText} from '../engine/quote.ts';
import type {Finishing} from './finishing.ts';

/** A foreign key between a restored table and one that is not restored. */
export type Crossing = {
  child: string;
  id: number;
  parent: string;
  /** The child's columns. */
  columns: readonly string[];
  parentExists: boolean;
};

/** @param restored names of the restored tables; they exist by now */
export function crossings(connection: Connection, restored: readonly string[]): readonly Crossing[] {
  const folded = new Set(restored.map(foldName));
  const existing = new Set(tableNames(connection).map(foldName));
  const rows = connection.all(
    `SELECT m.name AS child, f.id AS id, f."table" AS parent, json_group_array(f."from" ORDER BY f.seq) AS columns
     FROM main.sqlite_schema AS m, pragma_foreign_key_list(m.name, 'main') AS f
     WHERE m.type = 'table' AND m.rootpage > 0 GROUP BY m.name, f.id ORDER BY m.name, f.id`,
  );
  return rows
    .map((row) => ({
      child: String(row.child),
      id: Number(row.id),
      parent: String(row.parent),
      columns: JSON.parse(String(row.columns)) as string[],
      parentExists: existing.has(foldName(String(row.parent))),
    }))
    .filter(({child, parent}) => folded.has(foldName(child)) !== folded.has(foldName(parent)));
}

/**
 * Reports the rows whose foreign keys lead nowhere because a table was restored without the other. SQLite checks a
 * foreign key only when rows are written, and only where an application switches that on: so the rows are restored, and
 * the user learns which ones they are. Keys between tables that are restored together are as they were in the source.
 */
export function reportDangling(connection: Connection, {schemas, notice}: Finishing): void {
  for (const crossing of crossings(
    connection,
    schemas.map(({name}) => name),
  )) {
    const {child, parent, parentExists} = crossing;
    if (!parentExists) {
      notice(missingParent(crossing));
      continue;
    }
    try {
      const {count, first} = connection.get(
        `SELECT count(*) AS count, min(c."rowid") AS first
         FROM pragma_foreign_key_check(?, 'main') AS c WHERE c.fkid = ?`,
        child,
        BigInt(crossing.id),
      )!;
      if (count === 0n) continue;
      const rows = count === 1n ? `1 row of ${child} refers` : `${count} rows of ${child} refer`;
      const found = `${rows} to rows of ${parent} that do not exist${example(connection, crossing, first ?? null)}`;
      notice(`${found}: find them with PRAGMA foreign_key_check(${quoteName(child)})`);
    } catch (error) {
      if (resultCode(error) !== ResultCode.error) throw error;
      notice(`the foreign key of ${child} to ${parent} was not checked: ${(error as Error).message}`);
    }
  }
}

/** What to expect of a foreign key to a missing table. */
export function missingParent({child, parent}: Crossing): string {
  return (
    `${child} refers to ${parent}, which does not exist here: with foreign keys switched on, SQLite refuses to write ` +
    `to ${child} until it does`
  );
}

/** ` (for example customer = 7)`; empty where a row cannot be found by its rowid. */
function example(connection: Connection, {child, columns}: Crossing, rowid: Value): string {
  const taken = new Set(
    connection.all(`SELECT name FROM pragma_table_xinfo(?, 'main')`, child).map(({name}) => foldName(String(name))),
  );
  const alias = ['rowid', '_rowid_', 'oid'].find((word) => !taken.has(word));
  if (rowid === null || alias === undefined) return '';
  const shown = columns
    .map((column) => `${quoteText(column)} || ' = ' || quote(${quoteName(column)})`)
    .join(" || ', ' || ");
  const text = connection.value(
    `SELECT substr(${shown}, 1, 100) FROM main.${quoteName(child)} WHERE ${alias} = ?`,
    rowid,
  );
  return typeof text === 'string' ? ` (for example ${text})` : '';
}
