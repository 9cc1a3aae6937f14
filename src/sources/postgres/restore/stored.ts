import * as v from 'valibot';
import {BkpError} from '../../../errors/index.ts';
import {parsed, text} from '../../../lib/schema.ts';
import type {DatabaseFacts, SchemaObject, TableName, TableSchema} from '../../source.ts';
import {quoteIdent} from '../connection/quote.ts';
import {namePairs} from '../schema/tokens.ts';

// What a manifest has of a schema. It may come from another version, or be damaged.

const texts = v.array(text);
/** `<position>\t<sql>`; see `tableSchemasOf`. */
const statements = v.array(v.pipe(text, v.regex(/^\d+\t/u)));
const definitionSchema = v.object({
  kind: text,
  schema: text,
  table: text,
  owner: text,
  create: statements,
  constraints: statements,
  indexes: statements,
  references: statements,
  finish: statements,
  relations: texts,
  partitions: texts,
  statistics: texts,
  /** In the order of the partitions and of the statistics; older versions did not write them. */
  partitionOwners: v.exactOptional(texts),
  statisticsOwners: v.exactOptional(texts),
  sequences: texts,
  /** Columns of the primary key; older versions did not write it. */
  key: v.exactOptional(texts),
  /** `name`, type and kind, joined by a NUL, in the order of the rows' fields; older versions did not write them. */
  columns: v.exactOptional(texts),
  /** Those of `columns` that the table computes; older versions did not write it. */
  computed: v.exactOptional(texts),
  /** Other tables without which it cannot be created. */
  needs: v.exactOptional(texts),
});
const objectSchema = v.object({
  ...{type: text, schema: text, name: text, owner: text, sql: text},
  called: v.exactOptional(text),
  value: v.exactOptional(text),
  /** Of what needs tables itself: its place among the statements of the tables, and the tables that need it. */
  position: v.exactOptional(v.number()),
  by: v.exactOptional(texts),
});
const sharedSchema = v.array(objectSchema);

export type StoredTable = v.InferOutput<typeof definitionSchema> & {name: TableName};
export type SharedObject = v.InferOutput<typeof objectSchema> & {
  /** A materialized view that had rows. */
  isFilled?: boolean;
};
export function storedTables(schemas: readonly TableSchema[]): readonly StoredTable[] {
  return schemas.map(({name, definition}) => ({
    ...parsed<v.InferOutput<typeof definitionSchema>>(definitionSchema, definition, (why) => unknown(name, why)),
    name,
  }));
}

/** @throws BkpError `UNSUPPORTED` when the backup is of another product */
export function sharedObjects(facts: DatabaseFacts): readonly SharedObject[] {
  if (facts.product !== 'postgres' || typeof facts.shared !== 'string') {
    throw new BkpError('UNSUPPORTED', 'the backup is not of a PostgreSQL database', {
      next: 'restore it with --source sqlite::path=FILE',
    });
  }
  const objects = parsed<readonly SharedObject[]>(sharedSchema, JSON.parse(facts.shared), (why) =>
    unknown('database', why),
  );
  return objects.map((object) =>
    object.called === undefined ? object : {...object, called: withKind(object.type, object.called)},
  );
}

/** The search path of the database of the backup, as a statement writes it. Older versions did not record it. */
export function searchPathOf({searchPath}: DatabaseFacts): string | undefined {
  if (typeof searchPath !== 'string') return undefined;
  const schemas = namePairs(searchPath).map(([schema]) => quoteIdent(schema));
  return schemas.length === 0 ? undefined : schemas.join(', ');
}

/** pg_dump 15 and older write `ALTER TABLE … OWNER` for these too, but no other statement takes them for tables. */
const writtenAsTables = new Set(['VIEW', 'MATERIALIZED VIEW', 'SEQUENCE']);

/** How a statement names an object: `MATERIALIZED VIEW app.sums`. @param called as the statement of the owner does */
function withKind(type: string, called: string): string {
  return writtenAsTables.has(type) ? called.replace(/^TABLE /u, `${type} `) : called;
}

/** What is created after the tables, in the order of creation. Older versions have less of each. */
export function storedAfter(objects: readonly SchemaObject[]): readonly SharedObject[] {
  return objects.map(({name, definition}) => {
    const {type = '', schema, owner = '', called, sql = '', part, value, filled} = definition;
    return {
      type: String(type),
      schema: String(schema ?? name.slice(0, name.indexOf('.'))),
      name: String(part ?? name),
      owner: String(owner),
      ...(called === undefined || called === '' ? {} : {called: withKind(String(type), String(called))}),
      sql: String(sql),
      ...(value === undefined ? {} : {value: String(value)}),
      ...(filled === 'true' ? {isFilled: true} : {}),
    };
  });
}

/** Whether a user names it: functions and types come together, and have no names in statements. */
export const isView = ({definition: {type}}: SchemaObject) => type === undefined || /VIEW$/u.test(String(type));

/** The names of a view, and of what belongs to it. */
export function partsOfView(objects: readonly SchemaObject[], view: string): readonly string[] {
  return objects.flatMap(({name, definition}) => (name === view || definition.of === view ? [name] : []));
}

/** The statements of all tables for one step, in the order in which they can run. */
export function inOrder(
  tables: readonly StoredTable[],
  statementsOf: (table: StoredTable) => readonly string[],
): readonly {table: StoredTable; sql: string; position: number}[] {
  return tables
    .flatMap((table) =>
      statementsOf(table).map((statement) => ({table, statement, position: Number.parseInt(statement, 10)})),
    )
    .toSorted((a, b) => a.position - b.position)
    .map(({table, statement, position}) => ({table, sql: sqlOf(statement), position}));
}

/** Whether it exists before the tables: others need tables themselves. */
export const isBeforeTables = ({position}: SharedObject) => position === undefined;

/** What creates tables, and what needs tables itself and comes with these, in the order in which it can run. */
export function creationOf(tables: readonly StoredTable[], shared: readonly SharedObject[]) {
  const names = new Set(tables.map(({name}) => name));
  const among = shared.filter((object) => !isBeforeTables(object) && object.by?.some((name) => names.has(name)));
  const all = [...inOrder(tables, ({create}) => create), ...among];
  return all.toSorted((a, b) => (a.position ?? 0) - (b.position ?? 0));
}

export const isPrimaryKey = (sql: string) => /\bPRIMARY KEY\b/u.test(sql);

export const sqlOf = (statement: string) => statement.slice(statement.indexOf('\t') + 1);

/** `schema` and `name` of a relation in a definition. */
export function pairOf(relation: string): readonly [string, string] {
  const [schema = '', name = ''] = relation.split('\0');
  return [schema, name];
}

/** Whether one of the relations of a table is it or a partition of it, and not an index, a sequence or statistics. */
export const isTableOf = ({schema, table, partitions}: StoredTable, relation: string) =>
  relation === `${schema}\0${table}` || partitions.includes(relation);

function unknown(what: string, why: string): BkpError {
  return new BkpError('OBJECT_DAMAGED', `the definition of ${what} in the backup cannot be read`, {
    cause: why,
    next: 'restore another backup',
  });
}

/** What comes with a table, for people: `2 indexes, 1 trigger`. */
export function partsText(definition: TableSchema['definition']): string {
  const count = (key: string, isOne: (sql: string) => boolean) => {
    const statements = definition[key];
    return Array.isArray(statements) ? statements.filter((statement: string) => isOne(sqlOf(statement))).length : 0;
  };
  const parts = [
    [count('indexes', (sql) => sql.startsWith('CREATE')), 'index', 'indexes'],
    [count('references', () => true), 'foreign key', 'foreign keys'],
    [count('finish', (sql) => sql.startsWith('CREATE TRIGGER')), 'trigger', 'triggers'],
  ] as const;
  return parts
    .flatMap(([number, one, many]) => (number === 0 ? [] : [`${number} ${number === 1 ? one : many}`]))
    .join(', ');
}
