import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {generatedExpressions, withQualifier, withTextLiterals, wordsIn} from '../engine/sql-text.ts';
import {keyColumns} from '../rows/boundary.ts';
import {dependsOn} from '../schema/obstacles.ts';
import {type Column, keyNames, type Table, type UniqueIndex} from '../schema/table.ts';
import {computedFrom, conditionOfNewRow} from './helper-tables.ts';
import {logName, rowName} from './names.ts';

/** Statements that log the rows which a new row can evict, and the columns whose update can do so (`''`: any). */
export type Evictions = {byInsert: readonly string[]; byUpdate: readonly string[]; ofColumns: string};

/**
 * REPLACE removes rows that conflict with the new row on another unique index, and fires no delete trigger for
 * them (unless the application has set recursive_triggers). So before each insert and update the rows that
 * could be removed are logged.
 * @returns undefined when only the key is unique
 */
export function evictions(table: Table): Evictions | undefined {
  const on = nameInFrom(table);
  const conditions = [...rowidMeets(table), ...table.uniques.flatMap((unique) => meets(table, unique))];
  if (conditions.length === 0) return undefined;
  const key = keyNames(table.key).map((column) => `${on}.${column}`);
  const isRowid = table.key.kind === 'rowid';
  const columns = isRowid ? ['k0', 'gone'] : keyColumns(table.key);
  const values = isRowid ? [...key, '1'] : key;
  const into = `INSERT INTO ${quoteName(logName(table.name))} (${columns.join(', ')})`;
  const rows = isRowOfTrigger(table) ? `${quoteName(table.name)} AS ${on}` : on;
  const from = `${into} SELECT ${values.join(', ')} FROM ${rows}`;
  const around = statementsAround(table);
  const notItself = `NOT (${keyNames(table.key)
    .map((column) => `${on}.${column} COLLATE BINARY IS OLD.${column}`)
    .join(' AND ')})`;
  return {
    byInsert: around(conditions.map((condition) => `${from} WHERE ${condition};`)),
    byUpdate: around(conditions.map((condition) => `${from} WHERE ${condition} AND ${notItself};`)),
    ofColumns: ofColumns(table),
  };
}

/** Where the FROM of a statement names a table that is called so, `OLD.a` is a column of that table. */
const isRowOfTrigger = ({name}: Table) => ['old', 'new'].includes(foldName(name));

/** The table in the statements of the triggers. */
const nameInFrom = (table: Table) => quoteName(isRowOfTrigger(table) ? `${ownPrefix}${table.name}` : table.name);

/** A rowid beside the declared key is unique too. (NEW.rowid is -1 where SQLite will choose one.) */
function rowidMeets(table: Table): readonly string[] {
  const {key} = table;
  return key.kind === 'columns' && key.alias !== undefined
    ? [`${nameInFrom(table)}.${key.alias} = NEW.${key.alias}`]
    : [];
}

/**
 * The condition that a row in the table and the new row are equal to the index. The index's WHERE is tested on
 * the row in the table, so that SQLite can use the index, and not on the new row: that finds more rows, never
 * fewer. A second condition selects all rows, in the rare case that no better one is known.
 */
function meets(table: Table, unique: UniqueIndex): readonly string[] {
  const on = nameInFrom(table);
  const text = (expression: string) => `(${portable(table, expression)}\n)`;
  const condition = conditionOfNewRow(table, unique);
  const tested = condition === undefined ? '' : ` WHERE ${text(condition)}`;
  const terms = unique.terms.map(({expression, collation, column}) => {
    const collate = `COLLATE ${quoteName(collation)}`;
    if (column !== undefined) return `${on}.${expression} ${collate} = ${newValue(table, column)}`;
    // The inner FROM gives the index's own expression the new row's columns, under the table's own name.
    const computed = portable(table, expression);
    const row = `${quoteName(rowName(table.name))} AS ${on}${tested}`;
    return `(${computed}) ${collate} = (SELECT ${computed} FROM ${row})`;
  });
  const where = unique.where === undefined ? [] : [text(unique.where)];
  // Where the index is not searched, its expression must not be computed for rows that are not in it.
  const same = (condition === undefined ? [...terms, ...where] : [...where, ...terms]).join(' AND ');
  // What is computed from a NULL that OR REPLACE is about to fill cannot be foreseen.
  const computing = condition === undefined ? [] : [{expression: condition, collation: 'BINARY'}];
  const unforeseen = table.columns
    .filter(
      ({name, insteadOfNull}) =>
        insteadOfNull !== undefined && dependsOn(table, {...unique, terms: [...unique.terms, ...computing]}, name),
    )
    .map(({name}) => `NEW.${quoteName(name)} IS NULL`);
  return unforeseen.length === 0 ? [same] : [same, `(${unforeseen.join(' OR ')})`];
}

/**
 * An expression of the schema with one meaning, whatever the program that fires the trigger takes double quotes
 * for.
 */
function portable(table: Table, expression: string): string {
  const text = withTextLiterals(expression, [table.name, ...table.columns.map(({name}) => name)]);
  return isRowOfTrigger(table) ? withQualifier(text, table.name, nameInFrom(table)) : text;
}

function statementsAround(table: Table): (statements: readonly string[]) => readonly string[] {
  const columns = computedFrom(table);
  if (columns === undefined) return (statements) => statements;
  const row = quoteName(rowName(table.name));
  const values = [...columns.map(({name}) => `NEW.${quoteName(name)}`), 'NULL'].join(', ');
  return (statements) => [
    `DELETE FROM ${row};`,
    `INSERT INTO ${row} VALUES (${values});`,
    ...statements,
    `DELETE FROM ${row};`,
  ];
}

/** The value that a column will have, where the statement may say NULL and OR REPLACE stores the default. */
export function newValue(table: Table, column: string): string {
  const {insteadOfNull} = table.columns.find(({name}) => name === column) ?? ({} as Partial<Column>);
  const value = `NEW.${quoteName(column)}`;
  return insteadOfNull === undefined ? value : `ifnull(${value}, ${insteadOfNull})`;
}

/** Only an update of a column that a unique index uses, or is computed from, can conflict with another row. */
function ofColumns(table: Table): string {
  const words = new Set<string>();
  const add = (sql: string) => {
    for (const word of wordsIn(sql)) words.add(word);
  };
  for (const {terms, where} of table.uniques) {
    for (const {expression} of terms) add(expression);
    if (where !== undefined) add(where);
  }
  if (table.columns.some(({name, generated}) => generated && words.has(foldName(name))))
    add(generatedExpressions(table.sql));
  const columns = table.columns.filter(({name, generated}) => !generated && words.has(foldName(name)));
  const rowids = rowidMeets(table).length === 0 ? [] : ['rowid', '_rowid_', 'oid'];
  const names = [...columns.map(({name}) => name), ...rowids];
  return names.length === 0 ? '' : ` OF ${names.map(quoteName).join(', ')}`;
}
