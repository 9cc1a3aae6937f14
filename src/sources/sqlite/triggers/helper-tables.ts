import {foldName, quoteName} from '../engine/quote.ts';
import {wordsIn} from '../engine/sql-text.ts';
import {keyColumns} from '../rows/boundary.ts';
import {affinity, type Column, type NamedSql, type Table} from '../schema/table.ts';
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
  const words = wordsIn(expressions.map(({expression}) => expression).join('\n,'));
  return table.columns.filter(({name}) => words.has(foldName(name)));
}
