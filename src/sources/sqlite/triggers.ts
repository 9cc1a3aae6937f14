import {keyColumns} from './boundary.ts';
import {ownPrefix} from './catalog.ts';
import {dependsOn} from './obstacles.ts';
import {foldName, quoteName} from './quote.ts';
import {generatedExpressions, withTextLiterals, wordsIn} from './sql-text.ts';
import {type Column, keyNames, type NamedSql, type Table, type UniqueIndex} from './table.ts';

export function logName(table: string): string {
  return `${ownPrefix}log_${table}`;
}

const events = ['insert', 'update', 'delete', 'before_insert', 'before_update'] as const;

export function triggerNames(table: string): readonly string[] {
  return events.map((event) => `${ownPrefix}${event}_${table}`);
}

/**
 * The triggers that append changed keys to a table's log. Their texts are as sqlite_schema keeps them, so that a
 * trigger that is there can be compared.
 *
 * They hold no conflict clause: the one of the user's statement would take its place
 * (https://www.sqlite.org/lang_createtrigger.html, "Syntax Restrictions"). The log has no constraint that could fail.
 */
export function trackingTriggers(table: Table): readonly NamedSql[] {
  const on = quoteName(table.name);
  const keys = (row: string) => keyNames(table.key).map((column) => `${row}.${column}`);
  const into = `INSERT INTO ${quoteName(logName(table.name))} (${keyColumns(table.key).join(', ')})`;
  const append = (row: string) => `${into} VALUES (${keys(row).join(', ')});`;
  // Byte by byte, whatever the column's collation: the key's index may tell apart what the column does not.
  const moved = keys('NEW').map((key, part) => `${key} COLLATE BINARY IS NOT ${keys('OLD')[part]}`);
  const appendIfMoved = `${into} SELECT ${keys('NEW').join(', ')} WHERE ${moved.join(' OR ')};`;
  return [
    trigger(table, 'insert', `AFTER INSERT ON ${on}`, [append('NEW')]),
    trigger(table, 'update', `AFTER UPDATE ON ${on}`, [append('OLD'), appendIfMoved]),
    trigger(table, 'delete', `AFTER DELETE ON ${on}`, [append('OLD')]),
    ...evictions(table),
  ];
}

/**
 * REPLACE removes rows that meet the new one on another unique index, and fires no delete trigger for them (unless the
 * application has set recursive_triggers). So before each insert and update the rows that could go are looked up.
 */
function evictions(table: Table): NamedSql[] {
  const on = quoteName(table.name);
  const conditions = [...rowidMeets(table), ...table.uniques.flatMap((unique) => meets(table, unique))];
  if (conditions.length === 0) return [];
  const key = keyNames(table.key);
  const from = `INSERT INTO ${quoteName(logName(table.name))} (${keyColumns(table.key).join(', ')}) SELECT ${key.map((column) => `${on}.${column}`).join(', ')} FROM ${on}`;
  const around = statementsAround(table);
  const notItself = `NOT (${key.map((column) => `${on}.${column} COLLATE BINARY IS OLD.${column}`).join(' AND ')})`;
  return [
    trigger(
      table,
      'before_insert',
      `BEFORE INSERT ON ${on}`,
      around(conditions.map((condition) => `${from} WHERE ${condition};`)),
    ),
    trigger(
      table,
      'before_update',
      `BEFORE UPDATE${ofColumns(table)} ON ${on}`,
      around(conditions.map((condition) => `${from} WHERE ${condition} AND ${notItself};`)),
    ),
  ];
}

/** A rowid beside the declared key is one more thing that is unique. (NEW.rowid is -1 where SQLite will give one.) */
function rowidMeets({key, name}: Table): readonly string[] {
  return key.kind === 'columns' && key.alias !== undefined
    ? [`${quoteName(name)}.${key.alias} = NEW.${key.alias}`]
    : [];
}

/**
 * The row in the table and the new row are the same to the index. Its WHERE is asked of the row in the table, which
 * leads to the index, and not of the new one: that finds more, never less.
 * A second condition finds all rows, in the rare case that nothing better is known.
 */
function meets(table: Table, unique: UniqueIndex): readonly string[] {
  const on = quoteName(table.name);
  const same = unique.terms
    .map(({expression, collation, column}) => {
      const collate = `COLLATE ${quoteName(collation)}`;
      if (column !== undefined) return `${on}.${expression} ${collate} = ${newValue(table, column)}`;
      // The inner FROM gives the index's own expression the new row's columns, under the table's own name.
      const text = portable(table, expression);
      return `(${text}) ${collate} = (SELECT ${text} FROM ${quoteName(rowName(table.name))} AS ${on})`;
    })
    .concat(unique.where === undefined ? [] : [`(${portable(table, unique.where)}\n)`])
    .join(' AND ');
  // What is computed from a NULL that OR REPLACE is about to fill cannot be foreseen.
  const unforeseen = table.columns
    .filter(({name, insteadOfNull}) => insteadOfNull !== undefined && dependsOn(table, unique, name))
    .map(({name}) => `NEW.${quoteName(name)} IS NULL`);
  return unforeseen.length === 0 ? [same] : [same, `(${unforeseen.join(' OR ')})`];
}

/** Of an expression in the schema: what it means, whatever the program that fires the trigger takes double quotes for. */
function portable(table: Table, expression: string): string {
  return withTextLiterals(expression, [table.name, ...table.columns.map(({name}) => name)]);
}

/**
 * A table that holds the new row while its index expressions are computed: NEW.a has no affinity in a comparison, as
 * the column has, and would give another value. Absent when no index computes anything.
 */
export function rowTable(table: Table): NamedSql | undefined {
  const columns = computedFrom(table);
  if (columns === undefined) return undefined;
  const name = rowName(table.name);
  const list = columns.map(
    (column) => `${quoteName(column.name)} ${affinity(table, column)} COLLATE ${quoteName(column.collation)}`,
  );
  // One column more, because a table needs one.
  return {name, sql: `CREATE TABLE ${quoteName(name)} (${[...list, '_bkp_'].join(', ')})`};
}

export function rowName(table: string): string {
  return `${ownPrefix}row_${table}`;
}

/** Columns that index expressions use. The others stay out: who drops one of them must not fail on a trigger. */
function computedFrom(table: Table): readonly Column[] | undefined {
  const expressions = table.uniques.flatMap(({terms}) => terms).filter(({column}) => column === undefined);
  if (expressions.length === 0) return undefined;
  const words = wordsIn(expressions.map(({expression}) => expression).join('\n,'));
  return table.columns.filter(({name}) => words.has(foldName(name)));
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

/** https://www.sqlite.org/datatype3.html, 3.1; in a STRICT table ANY converts nothing. */
function affinity({strict}: Table, {type}: Column): string {
  const word = type.toUpperCase();
  if (word === '' || (strict && word === 'ANY')) return 'BLOB';
  if (word.includes('INT')) return 'INTEGER';
  if (/CHAR|CLOB|TEXT/.test(word)) return 'TEXT';
  if (word.includes('BLOB')) return 'BLOB';
  return /REAL|FLOA|DOUB/.test(word) ? 'REAL' : 'NUMERIC';
}

function newValue(table: Table, column: string): string {
  const {insteadOfNull} = table.columns.find(({name}) => name === column) ?? ({} as Partial<Column>);
  const value = `NEW.${quoteName(column)}`;
  return insteadOfNull === undefined ? value : `ifnull(${value}, ${insteadOfNull})`;
}

/** Only updates of columns that a unique index uses, or is computed from, can meet another row. */
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

function trigger(table: Table, event: (typeof events)[number], when: string, body: readonly string[]): NamedSql {
  const name = `${ownPrefix}${event}_${table.name}`;
  return {name, sql: `CREATE TRIGGER ${quoteName(name)} ${when} BEGIN ${body.join(' ')} END`};
}
