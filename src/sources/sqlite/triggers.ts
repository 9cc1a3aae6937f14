import {ownPrefix} from './catalog.ts';
import {foldName, quoteName} from './quote.ts';
import type {NamedSql, Table, UniqueIndex} from './table.ts';

export function logName(table: string): string {
  return `${ownPrefix}log_${table}`;
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
  const log = quoteName(logName(table.name));
  const keys = (row: string) => keyExpressions(table).map((column) => `${row}.${column}`);
  const append = (row: string) => `INSERT INTO ${log} (${logColumns(table)}) VALUES (${keys(row).join(', ')});`;
  // Byte by byte, whatever the column's collation: the key's index may tell apart what the column does not.
  const moved = keys('NEW').map((key, part) => `${key} COLLATE BINARY IS NOT ${keys('OLD')[part]}`);
  const appendIfMoved = `INSERT INTO ${log} (${logColumns(table)}) SELECT ${keys('NEW').join(', ')} WHERE ${moved.join(' OR ')};`;
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
  if (table.uniques.length === 0) return [];
  const on = quoteName(table.name);
  const log = quoteName(logName(table.name));
  const key = keyExpressions(table);
  const append = (unique: UniqueIndex, condition: string) =>
    `INSERT INTO ${log} (${logColumns(table)}) SELECT ${key.map((column) => `${on}.${column}`).join(', ')} FROM ${on} WHERE ${meets(table, unique)}${condition};`;
  const notItself = ` AND NOT (${key.map((column) => `${on}.${column} COLLATE BINARY IS OLD.${column}`).join(' AND ')})`;
  return [
    trigger(
      table,
      'before_insert',
      `BEFORE INSERT ON ${on}`,
      table.uniques.map((unique) => append(unique, '')),
    ),
    trigger(
      table,
      'before_update',
      `BEFORE UPDATE${ofColumns(table)} ON ${on}`,
      table.uniques.map((unique) => append(unique, notItself)),
    ),
  ];
}

/** The row in the table and the new row are the same to the index. Its condition is left out: that finds more, never less. */
function meets(table: Table, unique: UniqueIndex): string {
  const on = quoteName(table.name);
  return unique.terms
    .map(({expression, collation, column}) => {
      const collate = `COLLATE ${quoteName(collation)}`;
      if (column !== undefined) return `${on}.${expression} ${collate} = NEW.${expression}`;
      // The inner FROM gives the index's own expression the new row's columns, under the table's own name.
      const row = table.columns.map(({name}) => `NEW.${quoteName(name)} AS ${quoteName(name)}`).join(', ');
      return `(${expression}) ${collate} = (SELECT ${expression} FROM (SELECT ${row}) AS ${on})`;
    })
    .join(' AND ');
}

/** Only updates of these columns can meet another row; an expression or a generated column can depend on any. */
function ofColumns(table: Table): string {
  const generated = new Set(table.columns.filter((column) => column.generated).map((column) => foldName(column.name)));
  const columns = table.uniques.flatMap((unique) =>
    (unique.where === undefined ? unique.terms : [{column: undefined}]).map(({column}) => column),
  );
  if (columns.some((column) => column === undefined || column === 'rowid' || generated.has(foldName(column))))
    return '';
  return ` OF ${[...new Set(columns)].map((column) => quoteName(column!)).join(', ')}`;
}

function trigger(table: Table, event: string, when: string, body: readonly string[]): NamedSql {
  const name = `${ownPrefix}${event}_${table.name}`;
  return {name, sql: `CREATE TRIGGER ${quoteName(name)} ${when} BEGIN ${body.join(' ')} END`};
}

function keyExpressions({key}: Table): readonly string[] {
  return key.kind === 'rowid' ? [key.alias] : key.parts.map((part) => quoteName(part.column));
}

function logColumns({key}: Table): string {
  return key.kind === 'rowid' ? 'k0' : key.parts.map((_, part) => `k${part}`).join(', ');
}
