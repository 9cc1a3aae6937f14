import type {SchemaObject, TableName, TableSchema} from '../../source.ts';
import {kindsOfAll, type TableColumns, takenColumnsOfAll} from '../catalog/columns.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import type {Entry} from './entries.ts';
import {fingerprintsOf} from './fingerprints.ts';
import type {Selection, TableParts} from './select.ts';
import {sequenceValues} from './sequences.ts';

/** A table with what belongs to it. `needs`: other tables that a restore creates before. */
export type TableToDescribe = {relation: Relation; parts: TableParts; needs: readonly TableName[]};

/**
 * Tables as a manifest has them: their statements by the step in which a restore runs them, each with its place among
 * those of all tables, and what a restore must know to move them to another schema.
 */
export async function tableSchemasOf(
  connection: Connection,
  tables: readonly TableToDescribe[],
  {omitIndexes}: {omitIndexes: boolean},
): Promise<readonly TableSchema[]> {
  const relations = tables.map(({relation}) => relation);
  const oids = relations.map(({oid}) => oid);
  const facts = {
    columns: await takenColumnsOfAll(connection, oids),
    kinds: await kindsOfAll(connection, oids),
    fingerprints: await fingerprintsOf(connection, relations),
    sequences: await sequencesOf(connection, tables),
  };
  return tables.map((table) => tableSchemaOf(table, facts, omitIndexes));
}

type TableFacts = {
  columns: ReadonlyMap<number, TableColumns>;
  kinds: ReadonlyMap<number, ReadonlyMap<string, string>>;
  fingerprints: ReadonlyMap<number, string>;
  sequences: ReadonlyMap<number, readonly string[]>;
};

function tableSchemaOf(
  {relation, parts, needs}: TableToDescribe,
  facts: TableFacts,
  omitIndexes: boolean,
): TableSchema {
  const {oid} = relation;
  const statements = (entries: readonly Entry[]) => entries.map(({sql, position}) => `${position}\t${sql}`);
  const {create, constraints, references, finish} = parts;
  const partitions = create.filter((entry) => entry.type === 'TABLE' && entry.oid !== oid);
  const statistics = create.filter(({type}) => type === 'STATISTICS');
  const {key, columns, computed} = facts.columns.get(oid)!;
  const kinds = facts.kinds.get(oid)!;
  return {
    name: relation.name,
    fingerprint: facts.fingerprints.get(oid)!,
    definition: {
      kind: relation.kind,
      schema: relation.schema,
      table: relation.table,
      owner: create.find((entry) => entry.oid === oid)?.owner ?? '',
      create: statements(create),
      constraints: statements(constraints),
      indexes: omitIndexes ? [] : statements(parts.indexes),
      references: statements(references),
      finish: statements(finish),
      relations: relationsIn(parts),
      partitions: partitions.map(pairOf),
      partitionOwners: partitions.map(({owner}) => owner),
      statistics: statistics.map(pairOf),
      statisticsOwners: statistics.map(({owner}) => owner),
      sequences: facts.sequences.get(oid)!,
      columns: columns.map(({name, type}) => [name, type, kinds.get(name) ?? 'other'].join('\0')),
      key: key.map(({name}) => name),
      ...(computed.size === 0 ? {} : {computed: [...computed]}),
      ...(needs.length === 0 ? {} : {needs}),
    },
  };
}

/**
 * Everything that is created beside the tables, as JSON for the facts of the database.
 * @param nameOf a table by its oid
 */
export async function sharedText(
  connection: Connection,
  {shared, entangled}: Selection,
  nameOf: (oid: number) => TableName,
): Promise<string> {
  const objects = [];
  for (const entry of shared) {
    const {type, schema, name, owner, called, sql} = entry;
    const among = entangled.get(entry);
    const value = await valueNow(connection, entry);
    const more = {...(called === '' ? {} : {called}), ...(value === undefined ? {} : {value})};
    const place = among === undefined ? {} : {position: among.position, by: [...among.by].map(nameOf)};
    objects.push({type, schema, name, owner, sql, ...more, ...place});
  }
  return JSON.stringify(objects);
}

/** What is created after the tables, one statement or several of the same kind each, in the order of creation. */
export async function objectsAfter(connection: Connection, {after}: Selection): Promise<readonly SchemaObject[]> {
  const objects: SchemaObject[] = [];
  for (const {view, entry} of after) {
    const {type, schema, name, owner, called, sql, oid} = entry;
    const value = await valueNow(connection, entry);
    const place = schema === '' ? name : `${schema}.${name}`;
    objects.push({
      name: view === entry ? place : `${type} ${place}`,
      definition: {
        ...{type, schema, owner, called, sql, part: name},
        ...(view === undefined ? {} : {of: `${view.schema}.${view.name}`}),
        ...(value === undefined ? {} : {value}),
        ...((await isFilled(connection, {type, oid})) ? {filled: 'true'} : {}),
      },
    });
  }
  return objects;
}

/** Whether it is a materialized view that has rows. */
async function isFilled(connection: Connection, {type, oid}: Pick<Entry, 'type' | 'oid'>): Promise<boolean> {
  if (type !== 'MATERIALIZED VIEW') return false;
  return (await connection.value('SELECT relispopulated FROM pg_class WHERE oid = $1', [oid])) === 't';
}

/** `schema` and `name` of every relation that is created with the table, joined by a NUL. */
function relationsIn({create, constraints, indexes}: TableParts): readonly string[] {
  const inCreate = create.filter(({type}) => ['TABLE', 'SEQUENCE', 'STATISTICS'].includes(type)).map(pairOf);
  const ofIndexes = indexes.filter(({type}) => type === 'INDEX').map(pairOf);
  const ofConstraints = constraints.map(({schema, own}) => `${schema}\0${own}`);
  return [...new Set([...inCreate, ...ofIndexes, ...ofConstraints])];
}

const pairOf = ({schema, name}: Entry) => `${schema}\0${name}`;

/** The values of the sequences of each table. */
async function sequencesOf(
  connection: Connection,
  tables: readonly TableToDescribe[],
): Promise<ReadonlyMap<number, readonly string[]>> {
  const namesOf = tables.map(({relation, parts}) => {
    const sequences = parts.create.filter(({type}) => type === 'SEQUENCE');
    return {oid: relation.oid, names: sequences.map(({schema, name}) => [schema, name] as const)};
  });
  const values = [
    ...(await sequenceValues(
      connection,
      namesOf.flatMap(({names}) => names),
    )),
  ];
  return new Map(namesOf.map(({oid, names}) => [oid, values.splice(0, names.length)]));
}

async function valueNow(connection: Connection, {type, schema, name}: Entry): Promise<string | undefined> {
  return type === 'SEQUENCE' ? (await sequenceValues(connection, [[schema, name]]))[0] : undefined;
}
