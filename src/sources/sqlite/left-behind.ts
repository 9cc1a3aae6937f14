import type {TableName} from '../source.ts';
import {findTable, tableNames} from './catalog.ts';
import type {Connection} from './connection.ts';
import {objectDefinitionOf, oddObjects, readObjects, virtualTables} from './objects.ts';
import {ownPrefix} from './own-prefix.ts';
import {foldName} from './quote.ts';
import {reachOfTrigger, reachOfView} from './reach.ts';
import {objectName, wordsIn} from './sql-text.ts';
import type {Table} from './table.ts';

const restoreLeavesOut = 'a restore leaves it out where that is not there';

/** What a backup of these tables does not hold, and its restore may lack; a sentence each. */
export function leftBehind(connection: Connection, asked: readonly TableName[] | 'all'): readonly string[] {
  const whole = asked === 'all';
  const found = (whole ? tableNames(connection) : asked).map((name) => findTable(connection, name));
  const tables = found.flatMap((one) => (one.kind === 'table' ? [one.table] : []));
  const objects = whole ? readObjects(connection) : [];
  const members = new Set([...tables, ...objects].map(({name}) => foldName(name)));
  return [
    ...found.flatMap((one) => (one.kind === 'unsupported' ? [one.reason] : [])),
    ...(whole
      ? found.flatMap((one) =>
          one.kind === 'absent'
            ? [`${one.name} has bytes in its name that are not text, and is left out: only BACKUP DATABASE holds it`]
            : [],
        )
      : []),
    ...(whole
      ? oddObjects(connection).map(
          (name) =>
            `${name} is left out: an edit of the schema made its statement, which no restore takes; only BACKUP DATABASE holds it`,
        )
      : []),
    ...(whole ? unreachable(connection) : []),
    ...tables.flatMap((table) =>
      table.triggers.flatMap((trigger) => outside(connection, table.name, trigger, members)),
    ),
    ...objects.flatMap((object) => {
      const {kind, triggers} = objectDefinitionOf(object);
      if (kind === 'virtual') return [];
      const {missing} = reachOfView(connection, object.name);
      if (missing !== undefined)
        return [`view ${object.name} reads ${missing}, which does not exist: a restore leaves it out`];
      return triggers.flatMap((sql) => outside(connection, object.name, {name: objectName(sql), sql}, members));
    }),
    ...ofVirtualTables(connection, tables, whole),
  ];
}

/** A trigger that uses what is not in the collection, or nowhere. */
function outside(
  connection: Connection,
  on: string,
  trigger: {name: string; sql: string},
  members: ReadonlySet<string>,
): readonly string[] {
  const {used, missing} = reachOfTrigger(connection, on, trigger);
  const others = [...used].filter((name) => !members.has(name) && !name.startsWith('sqlite_'));
  if (others.length > 0) {
    return [`trigger ${trigger.name} of ${on} uses ${others.join(', ')}, not in the collection: ${restoreLeavesOut}`];
  }
  // Another trigger of the table, which is compiled with this one, may be the one that needs it.
  return missing === undefined || !wordsIn(trigger.sql).has(foldName(missing))
    ? []
    : [`trigger ${trigger.name} of ${on} needs ${missing}, which does not exist: a restore leaves it out`];
}

/** Tables whose names SQLite keeps to itself, made by an edit of the schema; and those that look like bkp's own. */
function unreachable(connection: Connection): readonly string[] {
  const named = (prefix: string) =>
    connection
      .all(
        `SELECT name FROM main.sqlite_schema
         WHERE type = 'table' AND rootpage > 0 AND substr(name, 1, length(?1)) = ?1 COLLATE NOCASE`,
        prefix,
      )
      .map((row) => String(row.name));
  return [
    ...named('sqlite_')
      .filter((name) => !/^sqlite_(?:sequence|stat[1-4])$/i.test(name))
      .map((name) => `${name} has a name that SQLite keeps to itself, and is left out: only BACKUP DATABASE holds it`),
    ...named(ownPrefix)
      .filter((name) => !ownTable.test(name))
      .map(
        (name) =>
          `${name} is left out: names that begin with ${ownPrefix} are bkp's own; rename it to have it backed up`,
      ),
  ];
}

const ownTable = new RegExp(`^${ownPrefix}(?:meta$|marks$|log_|row_)`, 'i');

function ofVirtualTables(connection: Connection, tables: readonly Table[], whole: boolean): readonly string[] {
  return virtualTables(connection).flatMap(({name, module, known}) => {
    const held = tables.filter((table) => table.shadowOf === name).map((table) => table.name);
    if (known || (!whole && held.length === 0)) return [];
    const rows = held.length === 0 ? '' : `, with the rows of ${held.join(', ')}`;
    return whole
      ? [
          `virtual table ${name} comes back by its statement${rows}: its module ${module} is the application's, and bkp cannot look into it`,
        ]
      : [
          `${held.join(', ')} hold the rows of virtual table ${name} (module ${module}), which only a collection of the whole DATABASE holds`,
        ];
  });
}
