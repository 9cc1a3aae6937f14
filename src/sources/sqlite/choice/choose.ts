import {BkpError, didYouMean} from '../../../errors/index.ts';
import type {BackupParts, Choice, SchemaObject, TableName, WantedTable} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName} from '../engine/quote.ts';
import {namesTable} from '../engine/sql-text.ts';
import {objectDefinitionOf} from '../schema/objects.ts';
import {scratchSchema} from './scratch-schema.ts';

/** See {@link TableSource.choose}. */
export function chooseTables(parts: BackupParts, wanted: readonly WantedTable[]): Choice {
  const scratch = scratchSchema(parts);
  try {
    const owners = shadowOwners(scratch, parts);
    const tables = new Map<TableName, {name: TableName}>();
    const objects = new Set<string>();
    const add = (name: string, isTable: boolean) => {
      if (tables.has(name) || objects.has(name)) {
        throw new BkpError('BAD_REQUEST', `table ${name} is named twice`, {next: 'name it once'});
      }
      if (isTable) tables.set(name, {name});
      else objects.add(name);
    };
    for (const {name: written} of wanted) {
      const found = findPart(parts, written);
      const owner = owners.get(found.name);
      if (owner !== undefined) throw shadowTable(found.name, owner);
      add(found.name, found.isTable);
      for (const [table, virtual] of owners) if (virtual === found.name) add(table, true);
    }
    const chosen = new Set([...tables.keys(), ...objects]);
    return {
      tables: parts.schemas.flatMap(({name}) => tables.get(name) ?? []),
      objects: parts.objects.map(({name}) => name).filter((name) => objects.has(name)),
      leftOut: parts.objects.flatMap((object) => leftOut(object, chosen)),
    };
  } finally {
    scratch.close();
  }
}

/** Of each table that holds rows of a virtual table: which one. */
function shadowOwners(scratch: Connection, {schemas}: BackupParts): ReadonlyMap<TableName, string> {
  return new Map(
    schemas.flatMap(({name}) => {
      const found = findTable(scratch, name);
      return found.kind === 'table' && found.table.shadowOf !== undefined ? [[name, found.table.shadowOf]] : [];
    }),
  );
}

/** As SQLite finds a name: the case of ASCII letters does not matter, `main.` may precede it. */
function findPart({schemas, objects}: BackupParts, written: string): {name: string; isTable: boolean} {
  const find = (name: string) => {
    const same = (part: {name: string}) => foldName(part.name) === foldName(name);
    const table = schemas.find(same);
    if (table !== undefined) return {name: table.name, isTable: true};
    const object = objects.find(same);
    return object === undefined ? undefined : {name: object.name, isTable: false};
  };
  const found = find(written) ?? (/^main\./i.test(written) ? find(written.slice(5)) : undefined);
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
    next: `name the virtual table, which brings all of them: TABLE ${owner}`,
    context: {table},
  });
}

/** Views and full-text indexes over a chosen table that are not chosen themselves. */
function leftOut(object: SchemaObject, chosen: ReadonlySet<string>): string[] {
  const {kind, sql} = objectDefinitionOf(object);
  if (chosen.has(object.name)) return [];
  const over = [...chosen].find((name) => namesTable(sql, name));
  if (over === undefined) return [];
  const what = kind === 'view' ? 'view' : 'virtual table';
  return [`${what} ${object.name} uses ${over}, and only comes if it is named too`];
}
