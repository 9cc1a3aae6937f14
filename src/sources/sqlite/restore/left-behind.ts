import {eachInTurn} from '../../../lib/async.ts';
import type {SchemaObject, TableName} from '../../source.ts';
import {type Found, findTable, tableNames} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName} from '../engine/quote.ts';
import {schemaRows} from '../engine/schema-rows.ts';
import {namesTable, objectName} from '../engine/sql-text.ts';
import {objectDefinitionOf, oddObjects, readObjects, virtualTables} from '../schema/objects.ts';
import {reachOfTrigger, reachOfView} from '../schema/reach.ts';
import type {Table} from '../schema/table.ts';
import {isOwnTable} from '../triggers/own-objects.ts';

const restoreLeavesOut = 'a restore leaves it out where that does not exist';

/**
 * What a backup of these tables does not contain and its restore may lack, one sentence each. Other work of the thread
 * goes on between two tables.
 */
export async function leftBehind(
  connection: Connection,
  asked: readonly TableName[] | 'all',
  except: readonly string[] = [],
): Promise<readonly string[]> {
  const whole = asked === 'all';
  const isIn = (name: string) => !except.includes(name);
  const names = whole ? tableNames(connection).filter(isIn) : asked;
  const found = await eachInTurn(names, (name) => findTable(connection, name));
  const tables = found.flatMap((one) => (one.kind === 'table' ? [one.table] : []));
  const objects = whole ? readObjects(connection).filter(({name}) => isIn(name)) : [];
  const members = new Set([...tables, ...objects].map(({name}) => foldName(name)));
  const reaching = await eachInTurn(tables, ({name, triggers}) =>
    triggers.flatMap((trigger) => outside(connection, name, trigger, members)),
  );
  return [
    ...found.flatMap((one) => (one.kind === 'unsupported' ? [one.reason] : [])),
    ...(whole ? [...unnamed(found), ...odd(connection), ...unreachable(connection)] : []),
    ...reaching.flat(),
    ...ofViews(connection, objects, members),
    ...ofVirtualTables(connection, tables, whole)
      .filter(({of}) => isIn(of))
      .map(({sentence}) => sentence),
  ];
}

function unnamed(found: readonly Found[]): readonly string[] {
  return found
    .filter(({kind}) => kind === 'absent')
    .map((one) => {
      const name = (one as Found & {kind: 'absent'}).name;
      return `${name} has bytes in its name that are not text, and is left out: only BACKUP DATABASE holds it`;
    });
}

function odd(connection: Connection): readonly string[] {
  return oddObjects(connection).map(
    (name) =>
      `${name} is left out: an edit of the schema changed its statement, which a restore would ` +
      'refuse; only BACKUP DATABASE holds it',
  );
}

/** Views that read missing tables, views that read such a view, and what the triggers of the others use. */
function ofViews(
  connection: Connection,
  objects: readonly SchemaObject[],
  members: ReadonlySet<string>,
): readonly string[] {
  const sentences: string[] = [];
  const views = new Map(
    objects.map((object) => [object.name, objectDefinitionOf(object)] as const).filter(([, {kind}]) => kind === 'view'),
  );
  const gone: string[] = [];
  for (let more = true; more; ) {
    more = false;
    for (const [name, {sql}] of views) {
      const reach = reachOfView(connection, {name, sql});
      const missing = reach.missing ?? gone.find((other) => namesTable(sql, other) && other !== name);
      const others = outsiders(reach.used, members);
      if (missing === undefined && others.length === 0) continue;
      sentences.push(
        missing === undefined
          ? `view ${name} reads ${others.join(', ')}, not in the collection: ${restoreLeavesOut}`
          : `view ${name} reads ${missing}, which does not exist: a restore leaves it out`,
      );
      views.delete(name);
      gone.push(name);
      more = true;
    }
  }
  for (const [view, {triggers}] of views) {
    for (const sql of triggers) sentences.push(...outside(connection, view, {name: objectName(sql), sql}, members));
  }
  return sentences;
}

function outsiders(used: ReadonlySet<string>, members: ReadonlySet<string>): readonly string[] {
  return [...used].filter((name) => !members.has(name) && !name.startsWith('sqlite_'));
}

/** A trigger that uses tables outside the collection, or missing ones. */
function outside(
  connection: Connection,
  on: string,
  trigger: {name: string; sql: string},
  members: ReadonlySet<string>,
): readonly string[] {
  const {used, missing} = reachOfTrigger(connection, on, trigger);
  const others = outsiders(used, members);
  if (others.length > 0) {
    return [`trigger ${trigger.name} of ${on} uses ${others.join(', ')}, not in the collection: ${restoreLeavesOut}`];
  }
  return missing === undefined
    ? []
    : [`trigger ${trigger.name} of ${on} needs ${missing}, which does not exist: a restore leaves it out`];
}

/** Tables with names that SQLite reserves, created by an edit of the schema; and tables that look like bkp's own. */
function unreachable(connection: Connection): readonly string[] {
  const tables = schemaRows(connection).all.filter(({type, root}) => type === 'table' && root > 0);
  const named = (prefix: string) => tables.filter(({name}) => foldName(name).startsWith(prefix));
  return [
    ...named('sqlite_')
      .filter(({name}) => !/^sqlite_(?:sequence|stat[1-4])$/i.test(name))
      .map(({name}) => `${name} has a name that SQLite reserves, and is left out: only BACKUP DATABASE holds it`),
    ...named(ownPrefix)
      .filter((row) => !isOwnTable(connection, row))
      .map(
        ({name}) =>
          `${name} is left out: names that begin with ${ownPrefix} are bkp's own; rename it to have it backed up`,
      ),
  ];
}

/** `of`: the virtual table. */
function ofVirtualTables(
  connection: Connection,
  tables: readonly Table[],
  whole: boolean,
): readonly {of: string; sentence: string}[] {
  return virtualTables(connection).flatMap(({name, module, known}) => {
    const held = tables.filter((table) => table.shadowOf === name).map((table) => table.name);
    if (known || (!whole && held.length === 0)) return [];
    const rows = held.length === 0 ? '' : `, with the rows of ${held.join(', ')}`;
    const sentence = whole
      ? `virtual table ${name} comes back by its statement${rows}: its module ${module} belongs ` +
        'to the application, and bkp cannot check its content'
      : `${held.join(', ')} hold the rows of virtual table ${name} (module ${module}), which ` +
        'only a collection of the whole DATABASE holds';
    return [{of: name, sentence}];
  });
}
