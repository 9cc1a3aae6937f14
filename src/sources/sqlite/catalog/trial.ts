import {DatabaseSync} from 'node:sqlite';
import {quoteName} from '../engine/quote.ts';
import {type Boundary, keyColumns, keyMatches, keyOrder, keyRange, nullKeys} from '../rows/boundary.ts';
import {keyShape, rowShape} from '../rows/segment.ts';
import type {Table} from '../schema/table.ts';
import {logTable, rowTable} from '../triggers/helper-tables.ts';
import {trackingTriggers} from '../triggers/triggers.ts';

/**
 * bkp's statements are longer than those of the application: they contain a key's columns twice, or the rowid
 * in addition to all columns. SQLite limits columns, terms and the depth of expressions
 * (https://www.sqlite.org/limits.html), so bkp tries a table near these limits, empty and in memory, before it
 * is backed up.
 */
const wideColumns = 200;
const longIndexes = 2000;

export type Trial = {
  /** SQLite's message when its rows cannot be copied. */
  copying?: string | undefined;
  /** SQLite's message when its changes cannot be tracked. */
  tracking?: string | undefined;
};

export function tryTable(table: Table): Trial {
  const indexText = table.indexes.reduce((sum, {sql}) => sum + sql.length, 0);
  if (table.columns.length <= wideColumns && indexText <= longIndexes) return {};
  const db = new DatabaseSync(':memory:', {enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: true});
  try {
    db.exec(`ATTACH ':memory:' AS seg; ${table.sql}`);
    const copying = refusal(() => compileCopying(db, table));
    if (copying !== undefined) return {copying};
    for (const {sql} of table.indexes) db.exec(sql);
    return {tracking: refusal(() => compileTracking(db, table))};
  } finally {
    db.close();
  }
}

function refusal(compile: () => void): string | undefined {
  try {
    compile();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function compileCopying(db: DatabaseSync, table: Table): void {
  const {key} = table;
  const shape = rowShape(table);
  const from = `FROM main.${quoteName(table.name)} AS t`;
  const boundary: Boundary = keyColumns(key).map(() => ['integer', '0'] as const);
  db.exec(shape.create);
  db.prepare(
    `${shape.insert} ${from} WHERE ${keyRange(key, boundary, boundary).sql} ORDER BY ${keyOrder(key)} LIMIT ?`,
  );
  db.prepare(shape.last);
  const nulls = nullKeys(key);
  if (nulls !== undefined) db.prepare(`${shape.insert} ${from} WHERE ${nulls}`);
}

function compileTracking(db: DatabaseSync, table: Table): void {
  const {key, name} = table;
  const on = `main.${quoteName(name)}`;
  db.exec(logTable(table).sql);
  const row = rowTable(table);
  if (row !== undefined) db.exec(row.sql);
  for (const trigger of trackingTriggers(table)) db.exec(trigger.sql);
  const columns = table.columns.filter(({generated}) => !generated).map((column) => quoteName(column.name));
  db.prepare(`INSERT INTO ${on} DEFAULT VALUES`);
  db.prepare(`UPDATE ${on} SET ${columns.map((column) => `${column} = ${column}`).join(', ')}`);
  db.prepare(`DELETE FROM ${on}`);
  db.exec(keyShape(keyColumns(key)));
  db.prepare(`SELECT 1 FROM seg.keys AS k CROSS JOIN ${on} AS t ON ${keyMatches(key)}`);
}
