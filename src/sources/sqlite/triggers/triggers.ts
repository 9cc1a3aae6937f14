import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {generatedExpressions, withTextLiterals, wordsIn} from '../engine/sql-text.ts';
import {keyColumns} from '../rows/boundary.ts';
import {dependsOn} from '../schema/obstacles.ts';
import {affinity, type Column, keyNames, type NamedSql, type Table, type UniqueIndex} from '../schema/table.ts';

export function logName(table: string): string {
  return `${ownPrefix}log_${table}`;
}

const events = ['insert', 'inserted', 'update', 'move', 'moved', 'evict', 'delete'] as const;
const formerEvents = ['before_insert', 'before_update'] as const;

const ownTrigger = new RegExp(`^${ownPrefix}(?:${[...events, ...formerEvents].join('|')})_(.+)$`, 'is');

/** @returns the table that a trigger of bkp's tracks (or has tracked under that name), also one of an older version */
export function trackedBy(trigger: string): string | undefined {
  return ownTrigger.exec(trigger)?.[1];
}

/** A row of the log: see tracking.ts for `gone`. The first row and the marks have no key. */
export function logTable(table: Table): NamedSql {
  const name = logName(table.name);
  const columns = [...keyColumns(table.key), ...(table.key.kind === 'rowid' ? ['gone'] : [])];
  return {name, sql: `CREATE TABLE ${quoteName(name)} (seq INTEGER PRIMARY KEY, ${columns.join(', ')})`};
}

/**
 * The triggers that append changed keys to a table's log. Their texts are as sqlite_schema keeps them, so that a
 * trigger that is there can be compared.
 *
 * They run BEFORE the change, for two reasons. A foreign key's check converts the values of OLD and NEW in place, to the
 * child column's affinity, before AFTER triggers see them. And another AFTER trigger (a TEMP one of the application's,
 * which nobody else sees) can end the work on a row with RAISE(IGNORE): the change is made, the triggers after it do
 * not run. A BEFORE trigger that does so keeps the change itself from being made.
 *
 * AFTER triggers only look again, where a BEFORE trigger can see another key than the one that is stored. SQLite before
 * 3.31 computes twice, once for either trigger, what an INSERT says for an INTEGER PRIMARY KEY (`abs(random())`), and each
 * default (measured with 3.22 and 3.28); and where OR REPLACE puts a default in the place of a NULL, every version does.
 *
 * They hold no conflict clause: the one of the user's statement would take its place
 * (https://www.sqlite.org/lang_createtrigger.html, "Syntax Restrictions"). The log has no constraint that could fail.
 */
export function trackingTriggers(table: Table): readonly NamedSql[] {
  return table.key.kind === 'rowid' ? rowidTriggers(table) : keyTriggers(table);
}

/**
 * An INTEGER PRIMARY KEY. BEFORE INSERT does not know the key that SQLite will choose (NEW has -1 then); the AFTER
 * trigger logs it. Should that not run, the key is still above all others: a delta takes every row above the lowest top
 * that the table can have had, and `gone` tells which rows held the top up no more.
 *
 * Where nothing else is unique they name no table but the log: who renames the table in a way that leaves the bodies of triggers
 * as they are (PRAGMA legacy_alter_table) can go on writing.
 */
function rowidTriggers(table: Table): readonly NamedSql[] {
  const on = quoteName(table.name);
  const log = quoteName(logName(table.name));
  const {alias} = table.key;
  const append = (row: string) => `INSERT INTO ${log} (k0) VALUES (${row}.${alias});`;
  const gone = `INSERT INTO ${log} (k0, gone) VALUES (OLD.${alias}, 1);`;
  const known = `NEW.${alias} <> -1`;
  const evicted = evictions(table);
  const insert =
    evicted === undefined
      ? trigger(table, 'insert', `BEFORE INSERT ON ${on} WHEN ${known}`, [append('NEW')])
      : trigger(table, 'insert', `BEFORE INSERT ON ${on}`, [
          `INSERT INTO ${log} (k0) SELECT NEW.${alias} WHERE ${known};`,
          ...evicted.byInsert,
        ]);
  return [
    insert,
    trigger(table, 'inserted', `AFTER INSERT ON ${on} WHEN ${notLast(table)}`, [append('NEW')]),
    trigger(table, 'update', `BEFORE UPDATE ON ${on}`, [append('OLD')]),
    trigger(table, 'move', `BEFORE UPDATE OF ${ofKey(table)} ON ${on} WHEN NEW.${alias} IS NOT OLD.${alias}`, [
      gone,
      append('NEW'),
    ]),
    ...evictingUpdate(table, evicted),
    trigger(table, 'delete', `BEFORE DELETE ON ${on}`, [gone]),
  ];
}

function keyTriggers(table: Table): readonly NamedSql[] {
  const on = quoteName(table.name);
  const names = keyNames(table.key);
  const columns = table.key.kind === 'columns' ? table.key.parts.map(({column}) => column) : [];
  const computed = (column: string) =>
    table.columns.some(({name, computedDefault}) => name === column && computedDefault);
  const into = `INSERT INTO ${quoteName(logName(table.name))} (${keyColumns(table.key).join(', ')})`;
  const append = (values: readonly string[]) => `${into} VALUES (${values.join(', ')});`;
  const old = names.map((column) => `OLD.${column}`);
  // NULL in the log, where the key has none, says that it is not known.
  const coming = columns.map((column) => (computed(column) ? `NEW.${quoteName(column)}` : newValue(table, column)));
  const stored = names.map((column) => `NEW.${column}`);
  // Byte by byte, whatever the column's collation: the key's index may tell apart what the column does not.
  const moves = coming.map((key, part) => `${key} COLLATE BINARY IS NOT ${old[part]}`).join(' OR ');
  const evicted = evictions(table);
  const surprising = columns.some(computed);
  const again = (event: 'inserted' | 'moved', when: string) =>
    trigger(table, event, `AFTER ${when} ON ${on} WHEN ${notLast(table)}`, [append(stored)]);
  return [
    trigger(table, 'insert', `BEFORE INSERT ON ${on}`, [append(coming), ...(evicted?.byInsert ?? [])]),
    ...(surprising ? [again('inserted', 'INSERT')] : []),
    trigger(table, 'update', `BEFORE UPDATE ON ${on}`, [append(old)]),
    trigger(table, 'move', `BEFORE UPDATE OF ${ofKey(table)} ON ${on} WHEN ${moves}`, [append(coming)]),
    // One part of a key can be changed by a trigger of the user's while a statement changes another.
    ...(surprising || names.length > 1 ? [again('moved', `UPDATE OF ${ofKey(table)}`)] : []),
    ...evictingUpdate(table, evicted),
    trigger(table, 'delete', `BEFORE DELETE ON ${on}`, [append(old)]),
  ];
}

/** The key of NEW is not the one that was logged last: most often the BEFORE trigger has done it. */
function notLast({key, name}: Table): string {
  const same = keyNames(key).map((column, part) => `k${part} COLLATE BINARY IS NEW.${column}`);
  const log = quoteName(logName(name));
  return `NOT EXISTS (SELECT 1 FROM ${log} WHERE seq = (SELECT max(seq) FROM ${log}) AND ${same.join(' AND ')})`;
}

/** A rowid has more than one name. */
function ofKey({key}: Table): string {
  const names = key.kind === 'rowid' ? [key.column!, 'rowid', '_rowid_', 'oid'] : key.parts.map(({column}) => column);
  return names.map(quoteName).join(', ');
}

/** Statements that log the rows which a row can evict. */
type Evictions = {byInsert: readonly string[]; byUpdate: readonly string[]};

/**
 * REPLACE removes rows that meet the new one on another unique index, and fires no delete trigger for them (unless the
 * application has set recursive_triggers). So before each insert and update the rows that could go are looked up.
 */
function evictions(table: Table): Evictions | undefined {
  const on = quoteName(table.name);
  const conditions = [...rowidMeets(table), ...table.uniques.flatMap((unique) => meets(table, unique))];
  if (conditions.length === 0) return undefined;
  const key = keyNames(table.key).map((column) => `${on}.${column}`);
  const [columns, values] =
    table.key.kind === 'rowid'
      ? [
          ['k0', 'gone'],
          [...key, '1'],
        ]
      : [keyColumns(table.key), key];
  const from = `INSERT INTO ${quoteName(logName(table.name))} (${columns.join(', ')}) SELECT ${values.join(', ')} FROM ${on}`;
  const around = statementsAround(table);
  const notItself = `NOT (${keyNames(table.key)
    .map((column) => `${on}.${column} COLLATE BINARY IS OLD.${column}`)
    .join(' AND ')})`;
  return {
    byInsert: around(conditions.map((condition) => `${from} WHERE ${condition};`)),
    byUpdate: around(conditions.map((condition) => `${from} WHERE ${condition} AND ${notItself};`)),
  };
}

function evictingUpdate(table: Table, evicted: Evictions | undefined): readonly NamedSql[] {
  if (evicted === undefined) return [];
  const when = `BEFORE UPDATE${ofColumns(table)} ON ${quoteName(table.name)}`;
  return [trigger(table, 'evict', when, evicted.byUpdate)];
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
