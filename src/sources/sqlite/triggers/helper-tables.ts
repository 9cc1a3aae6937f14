import {foldName, quoteName} from '../engine/quote.ts';
import {wordsIn} from '../engine/sql-text.ts';
import {keyColumns} from '../rows/boundary.ts';
import {dependsOn} from '../schema/obstacles.ts';
import {affinity, type Column, type NamedSql, type Table, type UniqueIndex} from '../schema/table.ts';
import {logName, rowName} from './names.ts';

/**
 * The log has a row for each changed key; see tracking/own-tables.ts for `gone`. Its first row and the marks
 * have no key.
 */
export function logTable(table: Table): NamedSql {
  const name = logName(table.name);
  const columns = [...keyColumns(table.key), ...(table.key.kind === 'rowid' ? ['gone'] : [])];
  return {name, sql: `CREATE TABLE ${quoteName(name)} (seq INTEGER PRIMARY KEY, ${columns.join(', ')})`};
}

/**
 * A table that holds the new row while its index expressions are computed: in a comparison NEW.a lacks the
 * affinity of the column and would give another value. Undefined when no index computes anything.
 */
export function rowTable(table: Table): NamedSql | undefined {
  const columns = computedFrom(table);
  if (columns === undefined) return undefined;
  const name = rowName(table.name);
  const list = columns.map(
    (column) => `${quoteName(column.name)} ${affinity(table, column)} COLLATE ${quoteName(column.collation)}`,
  );
  // A table needs at least one column, and `columns` may be empty.
  return {name, sql: `CREATE TABLE ${quoteName(name)} (${[...list, '_bkp_'].join(', ')})`};
}

/**
 * Columns that index expressions use. The others are left out: dropping one of them must not fail because of a trigger.
 * @returns undefined when no index computes anything
 */
export function computedFrom(table: Table): readonly Column[] | undefined {
  const expressions = table.uniques.flatMap(({terms}) => terms).filter(({column}) => column === undefined);
  if (expressions.length === 0) return undefined;
  const conditions = table.uniques.flatMap((unique) => conditionOfNewRow(table, unique) ?? []);
  const words = wordsIn([...expressions.map(({expression}) => expression), ...conditions].join('\n,'));
  return table.columns.filter(({name}) => words.has(foldName(name)));
}

/**
 * The WHERE of a partial index that computes something, to be tested on a new row before that is computed: an index of
 * `json_extract(a, '$.b')` may be limited to rows in which `a` is JSON, and the function raises an error for others.
 * @returns undefined where the condition cannot be tested, because it needs a rowid that SQLite may have yet to choose
 */
export function conditionOfNewRow(table: Table, unique: UniqueIndex): string | undefined {
  const {where, terms} = unique;
  if (where === undefined || terms.every(({column}) => column !== undefined)) return undefined;
  const condition = {...unique, terms: [{expression: where, collation: 'BINARY'}]};
  const names = table.columns.map(({name}) => foldName(name));
  const rowids = ['rowid', '_rowid_', 'oid'].filter((name) => !names.includes(name));
  const key = table.key.kind === 'rowid' ? [table.key.column ?? 'rowid'] : [];
  return [...rowids, ...key].some((name) => dependsOn(table, condition, name)) ? undefined : where;
}
