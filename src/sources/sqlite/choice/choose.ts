import {BkpError, didYouMean} from '../../../errors/index.ts';
import {quotedName} from '../../../lib/sqlite-tokens.ts';
import {quoteName} from '../../../lib/statement-name.ts';
import type {BackupParts, Choice, SchemaObject, TableName, TableSchema, WantedTable} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import {foldName} from '../engine/quote.ts';
import {namesTable, objectName} from '../engine/sql-text.ts';
import type {Existing} from '../schema/existing.ts';
import {objectDefinitionOf} from '../schema/objects.ts';
import {definitionOf} from '../schema/schema.ts';
import {newTableName} from './new-name.ts';
import {renameTables} from './rename.ts';
import {scratchSchema} from './scratch-schema.ts';
import type {TakenNames} from './taken-names.ts';

/** See {@link TableSource.choose}. */
export function chooseTables(parts: BackupParts, wanted: readonly WantedTable[], existing: Existing): Choice {
  const {tables, objects, names} = findWanted(parts, wanted);
  const chosen = new Set([...tables, ...objects]);
  const schemas = parts.schemas.filter(({name}) => tables.has(name));
  const found = {schemas, objects: parts.objects.filter(({name}) => objects.has(name))};
  for (const object of found.objects) refuseRenamedContent(object, names);
  const renaming =
    names.size === 0
      ? {schemas: new Map<string, TableSchema>(), notices: []}
      : renameTables(parts, {
          names,
          restored: new Set([...chosen].map(foldName)),
          taken: takenNames(found, names, existing),
          existing,
        });
  return {
    tables: schemas.map(({name}) => {
      const as = renaming.schemas.get(name);
      return as === undefined ? {name} : {name, as};
    }),
    objects: found.objects.map(({name}) => name),
    notices: [...renaming.notices, ...parts.objects.flatMap((object) => leftOut(object, chosen, existing))],
  };
}

type Found = {
  tables: ReadonlySet<TableName>;
  objects: ReadonlySet<string>;
  /** New names by the names in the backup. */
  names: ReadonlyMap<TableName, string>;
};

function findWanted(parts: BackupParts, wanted: readonly WantedTable[]): Found {
  const owners = shadowOwners(parts);
  const tables = new Set<TableName>();
  const objects = new Set<string>();
  const names = new Map<TableName, string>();
  for (const {name: written, as} of wanted) {
    const {name, isTable} = findPart(parts, written);
    const owner = owners.get(name);
    if (owner !== undefined) throw shadowTable(name, owner);
    if (tables.has(name) || objects.has(name)) {
      throw new BkpError('BAD_REQUEST', `table ${name} is named twice`, {next: 'name it once'});
    }
    (isTable ? tables : objects).add(name);
    for (const [table, virtual] of owners) if (virtual === name) tables.add(table);
    const newName = as === undefined ? name : newTableName(as);
    if (newName === name) continue;
    if (!isTable) throw keepsName(name);
    names.set(name, newName);
  }
  requireDistinct([...tables, ...objects].map((name) => names.get(name) ?? name));
  return {tables, objects, names};
}

function requireDistinct(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(foldName(name))) {
      throw new BkpError('BAD_REQUEST', `two restored tables would have the name ${name}`, {
        next: 'choose another name after AS',
      });
    }
    seen.add(foldName(name));
  }
}

function keepsName(name: string): BkpError {
  return new BkpError('UNSUPPORTED', `${name} is a view or a virtual table, and keeps its name`, {
    cause: 'other objects, or the tables that hold its rows, find it by this name',
    next: "leave out AS; INTO './restored.db' restores it into another database",
  });
}

/** A full-text index over another table finds its rows by the name of that table. */
function refuseRenamedContent(object: SchemaObject, names: ReadonlyMap<TableName, string>): void {
  const {kind, sql} = objectDefinitionOf(object);
  const over = [...names.keys()].find((name) => kind === 'virtual' && namesTable(sql, name));
  if (over === undefined) return;
  throw new BkpError('UNSUPPORTED', `${object.name} is over ${over}, and would not find it under another name`, {
    next: `restore ${over} without AS, or without ${object.name}`,
  });
}

function takenNames(
  {schemas, objects}: BackupParts,
  names: ReadonlyMap<TableName, string>,
  existing: Existing,
): TakenNames {
  const kept = schemas
    .filter(({name}) => !names.has(name))
    .flatMap((schema) => {
      const {indexes, triggers} = definitionOf(schema);
      return [schema.name, ...[...indexes, ...triggers].map(objectName)];
    });
  const ofObjects = objects.flatMap((object) => [object.name, ...objectDefinitionOf(object).triggers.map(objectName)]);
  return new Set([...existing.names, ...[...kept, ...ofObjects, ...names.values()].map(foldName)]);
}

/** Of each table that holds rows of a virtual table: which one. */
function shadowOwners(parts: BackupParts): ReadonlyMap<TableName, string> {
  if (parts.objects.every((object) => objectDefinitionOf(object).kind === 'view')) return new Map();
  const scratch = scratchSchema(parts);
  try {
    return new Map(
      parts.schemas.flatMap(({name}) => {
        const found = findTable(scratch, name);
        return found.kind === 'table' && found.table.shadowOf !== undefined ? [[name, found.table.shadowOf]] : [];
      }),
    );
  } finally {
    scratch.close();
  }
}

/** As SQLite finds a name: the case of ASCII letters does not matter, `main.` may precede it, it may be in quotes. */
function findPart({schemas, objects}: BackupParts, written: string): {name: string; isTable: boolean} {
  const find = (name: string) => {
    const same = (part: {name: string}) => foldName(part.name) === foldName(name);
    const table = schemas.find(same);
    if (table !== undefined) return {name: table.name, isTable: true};
    const object = objects.find(same);
    return object === undefined ? undefined : {name: object.name, isTable: false};
  };
  const others = [...(/^main\./i.test(written) ? [written.slice(5)] : []), quotedName(written) ?? written];
  const found = [written, ...others].map(find).find((part) => part !== undefined);
  if (found !== undefined) return found;
  const names = [...schemas, ...objects].map(({name}) => name);
  const meant = didYouMean(written, names);
  throw new BkpError('TABLE_NOT_FOUND', `the backup has no table ${written}`, {
    next: meant === undefined ? `it has ${listed(names)}` : `did you mean ${meant}?`,
    context: {table: written},
  });
}

const mostListed = 20;

function listed(names: readonly string[]): string {
  const more = names.length > mostListed ? `, and ${names.length - mostListed} more` : '';
  return [...names].sort().slice(0, mostListed).join(', ') + more;
}

function shadowTable(table: TableName, owner: string): BkpError {
  return new BkpError('UNSUPPORTED', `${table} holds the rows of the virtual table ${owner}`, {
    cause: 'without its other tables it would not match them',
    next: `name the virtual table, which brings all of them: TABLE ${quoteName(owner)}`,
    context: {table},
  });
}

/** Views and full-text indexes over a chosen table that are neither chosen themselves nor in the target already. */
function leftOut(object: SchemaObject, chosen: ReadonlySet<string>, {names}: Existing): string[] {
  const {kind, sql} = objectDefinitionOf(object);
  if (chosen.has(object.name) || names.has(foldName(object.name))) return [];
  const over = [...chosen].find((name) => namesTable(sql, name));
  if (over === undefined) return [];
  const what = kind === 'view' ? 'view' : 'virtual table';
  return [`${what} ${object.name} uses ${over}, and only comes if it is named too`];
}
