import type {BackupParts, TableName, TableSchema} from '../../source.ts';
import {requireTable} from '../catalog/catalog.ts';
import {Connection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {objectName, withObjectName} from '../engine/sql-text.ts';
import {type Existing, makeExisting} from '../schema/existing.ts';
import {makeObject, objectDefinitionOf} from '../schema/objects.ts';
import {reachOfTrigger} from '../schema/reach.ts';
import {type Definition, definitionOf, fingerprintOf} from '../schema/schema.ts';
import {freeName, type TakenNames} from './taken-names.ts';

export type Renaming = {
  /** By the name in the backup. */
  schemas: ReadonlyMap<TableName, TableSchema>;
  notices: readonly string[];
};

/**
 * Gives tables of a backup other names. SQLite itself rewrites their statements (ALTER TABLE … RENAME TO …): in a
 * database in memory that has the backup's tables and, for what triggers use, those of the target. References between
 * renamed tables follow; a table that keeps its name keeps its statements too.
 *
 * A trigger that writes to a table that is not restored is left out: a copy beside the living tables must not change
 * them.
 * @param names new names by the names in the backup
 * @param restored folded names of everything that is restored, in the backup
 */
export function renameTables(
  parts: BackupParts,
  {
    names,
    restored,
    taken,
    existing,
  }: {
    names: ReadonlyMap<TableName, string>;
    restored: ReadonlySet<string>;
    taken: TakenNames;
    existing: Existing;
  },
): Renaming {
  const notices: string[] = [];
  const scratch = new Connection('the schema of the backup', {memory: true});
  try {
    fill(scratch, parts, {names, existing});
    const tables = parts.schemas
      .filter(({name}) => names.has(name))
      .map((schema) => ({schema, to: names.get(schema.name)!, definition: definitionOf(schema)}));
    const made = tables.map(({schema, to, definition}) => {
      const rename = (sql: string, what: 'index' | 'trigger') => {
        const old = objectName(sql);
        const name = freeName(taken, old, {table: schema.name, as: to});
        if (name !== old) notices.push(`${what} ${old} of ${schema.name} is named ${name}: the old name is taken`);
        return withObjectName(sql, name);
      };
      const make = (what: 'index' | 'trigger', sql: string) =>
        runFromManifest(scratch, {what, table: schema.name}, sql);
      const indexes = [...definition.indexes, ...(definition.omittedIndexes ?? [])].map((sql) => rename(sql, 'index'));
      for (const sql of indexes) make('index', sql);
      const triggers = definition.triggers.flatMap((original) => {
        const why = obstacleTo(scratch, {table: schema.name, sql: original, restored});
        if (why !== undefined) {
          notices.push(`trigger ${objectName(original)} of ${schema.name} does not come to ${to}: ${why}`);
          return [];
        }
        const sql = rename(original, 'trigger');
        make('trigger', sql);
        return [objectName(sql)];
      });
      return {schema, to, definition, indexes: indexes.map(objectName), triggers};
    });
    const refuse = (trigger: string, why: string) =>
      notices.push(`trigger ${trigger} cannot follow its table to another name: ${why}`);
    // By way of names that no table has: two tables may exchange theirs.
    for (const [at, {schema}] of made.entries()) alter(scratch, schema.name, passing(at), refuse);
    for (const [at, {to}] of made.entries()) alter(scratch, passing(at), to, refuse);
    return {schemas: new Map(made.map((one) => [one.schema.name, renamed(scratch, one)])), notices};
  } finally {
    scratch.close();
  }
}

const passing = (at: number) => `${ownPrefix}renamed_${at}`;

function fill(
  scratch: Connection,
  {schemas, objects}: BackupParts,
  {names, existing}: {names: ReadonlyMap<TableName, string>; existing: Existing},
): void {
  const wanted = new Set([...names.values()].map(foldName));
  const present = new Set<string>();
  const isFree = (name: string) => !wanted.has(foldName(name)) && !present.has(foldName(name));
  for (const schema of schemas) {
    if (!names.has(schema.name) && !isFree(schema.name)) continue;
    runFromManifest(scratch, {what: 'table', table: schema.name}, definitionOf(schema).table);
    present.add(foldName(schema.name));
  }
  for (const object of objects) {
    if (objectDefinitionOf(object).kind !== 'virtual' || !isFree(object.name)) continue;
    makeObject(scratch, object);
    present.add(foldName(object.name));
  }
  makeExisting(scratch, existing, isFree);
}

/** @returns why the trigger must not come, undefined if it can */
function obstacleTo(
  scratch: Connection,
  {table, sql, restored}: {table: TableName; sql: string; restored: ReadonlySet<string>},
): string | undefined {
  const name = objectName(sql);
  runFromManifest(scratch, {what: 'trigger', table}, sql);
  const {missing, written} = reachOfTrigger(scratch, table, {name, sql});
  scratch.exec(`DROP TRIGGER main.${quoteName(name)}`);
  if (missing !== undefined) return `it needs ${missing}, which does not exist here`;
  const other = [...written].find((one) => !restored.has(one));
  return other === undefined ? undefined : `it would write to ${other}, which is not restored`;
}

const inTrigger = /^error in (trigger|view) (.+?)(?: after rename)?: (.+)$/s;

/** Drops the triggers and views that SQLite cannot rewrite. */
function alter(scratch: Connection, from: string, to: string, refuse: (trigger: string, why: string) => void): void {
  for (;;) {
    try {
      scratch.exec(`ALTER TABLE main.${quoteName(from)} RENAME TO ${quoteName(to)}`);
      return;
    } catch (error) {
      const [, what, name, why] = inTrigger.exec(causeOf(error)) ?? [];
      if (what === undefined || name === undefined || why === undefined) throw error;
      scratch.exec(`DROP ${what} main.${quoteName(name)}`);
      if (what === 'trigger') refuse(name, why);
    }
  }
}

const causeOf = (error: unknown) => {
  const {message, cause} = error as Error;
  return cause instanceof Error ? cause.message : message;
};

function renamed(
  scratch: Connection,
  {
    schema,
    to,
    definition,
    indexes,
    triggers,
  }: {
    schema: TableSchema;
    to: string;
    definition: Definition;
    indexes: readonly string[];
    triggers: readonly string[];
  },
): TableSchema {
  const statement = (type: string, name: string) =>
    scratch.value('SELECT sql FROM main.sqlite_schema WHERE type = ? AND name = ?', type, name);
  const statements = (type: string, all: readonly string[]) =>
    all.flatMap((name) => {
      const sql = statement(type, name);
      return typeof sql === 'string' ? [sql] : [];
    });
  const table = requireTable(scratch, to);
  const made = statements('index', indexes);
  const kept = definition.indexes.length;
  const changed: Definition = {
    ...definition,
    table: table.sql,
    indexes: made.slice(0, kept),
    ...(definition.omittedIndexes === undefined ? {} : {omittedIndexes: made.slice(kept)}),
    triggers: statements('trigger', triggers),
  };
  return {...schema, name: table.name, fingerprint: fingerprintOf(table), definition: changed};
}
