import {quoteName} from '../engine/quote.ts';
import {keyColumns} from '../rows/boundary.ts';
import {keyNames, type NamedSql, type Table} from '../schema/table.ts';
import {type Evictions, evictions, newValue} from './evictions.ts';
import {logName, type TriggerEvent, triggerName} from './names.ts';

/**
 * The triggers that append changed keys to a table's log. Their texts are as sqlite_schema stores them, so that
 * an existing trigger can be compared.
 *
 * They run BEFORE the change, for two reasons. A foreign key's check converts the values of OLD and NEW in
 * place, to the child column's affinity, before AFTER triggers see them. And another AFTER trigger (a TEMP
 * trigger of the application, which no other connection sees) can end the work on a row with RAISE(IGNORE): the
 * change is made, and later triggers do not run. A BEFORE trigger that does so prevents the change itself.
 *
 * AFTER triggers only check again, where a BEFORE trigger can see another key than the stored one. SQLite
 * before 3.31 computes twice, once for either trigger, what an INSERT gives for an INTEGER PRIMARY KEY
 * (`abs(random())`), and each default (measured with 3.22 and 3.28); and where OR REPLACE replaces a NULL by a
 * default, every version does.
 *
 * They have no conflict clause: the one of the user's statement would replace it
 * (https://www.sqlite.org/lang_createtrigger.html, "Syntax Restrictions"). The log has no constraint that could
 * fail.
 */
export function trackingTriggers(table: Table): readonly NamedSql[] {
  return table.key.kind === 'rowid' ? rowidTriggers(table) : keyTriggers(table);
}

/**
 * An INTEGER PRIMARY KEY. BEFORE INSERT does not know the key that SQLite will choose (NEW has -1 then); the
 * AFTER trigger logs it. If that does not run, the key is still above all others: a delta takes every row above
 * the lowest value that the table's largest key can have had, and `gone` names the rows that no longer keep
 * that value up.
 *
 * Where nothing else is unique, the triggers name no table but the log: an application that renames the table
 * and leaves the bodies of triggers as they are (PRAGMA legacy_alter_table) can continue to write.
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
  // Where the key cannot be NULL, a NULL in the log means that it is not known.
  const coming = columns.map((column) => (computed(column) ? `NEW.${quoteName(column)}` : newValue(table, column)));
  const stored = names.map((column) => `NEW.${column}`);
  // Compared byte by byte: the key's index may distinguish values that the column's collation does not.
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
    // A trigger of the user can change one part of a key while a statement changes another.
    ...(surprising || names.length > 1 ? [again('moved', `UPDATE OF ${ofKey(table)}`)] : []),
    ...evictingUpdate(table, evicted),
    trigger(table, 'delete', `BEFORE DELETE ON ${on}`, [append(old)]),
  ];
}

/** The key of NEW is not the last logged one; most often the BEFORE trigger has logged it. */
function notLast({key, name}: Table): string {
  const same = keyNames(key).map((column, part) => `k${part} COLLATE BINARY IS NEW.${column}`);
  const log = quoteName(logName(name));
  return `NOT EXISTS (SELECT 1 FROM ${log} WHERE seq = (SELECT max(seq) FROM ${log}) AND ${same.join(' AND ')})`;
}

/** The columns of the key; a rowid has more than one name. */
function ofKey({key}: Table): string {
  const names = key.kind === 'rowid' ? [key.column!, 'rowid', '_rowid_', 'oid'] : key.parts.map(({column}) => column);
  return names.map(quoteName).join(', ');
}

function evictingUpdate(table: Table, evicted: Evictions | undefined): readonly NamedSql[] {
  if (evicted === undefined) return [];
  const when = `BEFORE UPDATE${evicted.ofColumns} ON ${quoteName(table.name)}`;
  return [trigger(table, 'evict', when, evicted.byUpdate)];
}

function trigger(table: Table, event: TriggerEvent, when: string, body: readonly string[]): NamedSql {
  const name = triggerName(event, table.name);
  return {name, sql: `CREATE TRIGGER ${quoteName(name)} ${when} BEGIN ${body.join(' ')} END`};
}
