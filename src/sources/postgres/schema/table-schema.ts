import {createHash} from 'node:crypto';
import type {SchemaObject, TableName, TableSchema} from '../../source.ts';
import {columnsOf, kindsOf} from '../catalog/columns.ts';
import type {Relation} from '../catalog/relations.ts';
import {columnTypes} from '../catalog/text-state.ts';
import type {Connection, Row} from '../connection/connection.ts';
import type {Entry} from './entries.ts';
import type {Selection, TableParts} from './select.ts';
import {sequenceValues} from './sequences.ts';

/**
 * A table as a manifest has it: its statements by the step in which a restore runs them, each with its place among
 * those of all tables, and what a restore must know to move them to another schema.
 */
export async function tableSchemaOf(
  connection: Connection,
  relation: Relation,
  parts: TableParts,
  {omitIndexes, needs}: {omitIndexes: boolean; needs: readonly TableName[]},
): Promise<TableSchema> {
  const statements = (entries: readonly Entry[]) => entries.map(({sql, position}) => `${position}\t${sql}`);
  const {create, constraints, references, finish} = parts;
  const partitions = create.filter(({type, oid}) => type === 'TABLE' && oid !== relation.oid);
  const statistics = create.filter(({type}) => type === 'STATISTICS');
  const {key, columns} = await columnsOf(connection, relation.oid);
  const kinds = await kindsOf(connection, relation.oid);
  return {
    name: relation.name,
    fingerprint: await fingerprintOf(connection, relation),
    definition: {
      kind: relation.kind,
      schema: relation.schema,
      table: relation.table,
      owner: create.find(({oid}) => oid === relation.oid)?.owner ?? '',
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
      sequences: await sequencesOf(connection, create),
      columns: columns.map(({name, type}) => [name, type, kinds.get(name) ?? 'other'].join('\0')),
      key: key.map(({name}) => name),
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

/** The values of sequences. */
function sequencesOf(connection: Connection, create: readonly Entry[]): Promise<readonly string[]> {
  const sequences = create.filter(({type}) => type === 'SEQUENCE');
  return sequenceValues(
    connection,
    sequences.map(({schema, name}) => [schema, name]),
  );
}

async function valueNow(connection: Connection, {type, schema, name}: Entry): Promise<string | undefined> {
  return type === 'SEQUENCE' ? (await sequenceValues(connection, [[schema, name]]))[0] : undefined;
}

async function fingerprintOf(connection: Connection, {oid, kind}: Relation): Promise<string> {
  // Since version 18, a NOT NULL may hold for new rows only.
  const notNull =
    connection.facts.version < 180_000
      ? 'a.attnotnull'
      : `a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'n'
          AND c.conkey[1] = a.attnum AND NOT c.convalidated)`;
  const columns = await connection.rows(
    `SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation::text, ${notNull},
        a.attgenerated
      FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [oid],
  );
  const key = await connection.rows(
    'SELECT indkey::text, indclass::text, indcollation::text FROM pg_index WHERE indrelid = $1 AND indisprimary',
    [oid],
  );
  // A renamed value, or another attribute of a composite type, changes the text of rows that nothing writes to.
  const values = await connection.rows(
    `${columnTypes} SELECT types.oid::regtype::text, e.enumlabel FROM types JOIN pg_enum e ON e.enumtypid = types.oid
      ORDER BY 1, e.enumlabel COLLATE "C"`,
    [oid],
  );
  const attributes = await connection.rows(
    `${columnTypes} SELECT oid::regtype::text, a.attname, format_type(a.atttypid, a.atttypmod)
      FROM types JOIN pg_type t USING (oid) JOIN pg_attribute a ON a.attrelid = t.typrelid
      WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum`,
    [oid],
  );
  // What rows of an older backup in the chain may not meet.
  const domains = await connection.rows(
    `${columnTypes} SELECT oid::regtype::text, t.typnotnull,
        (SELECT string_agg(pg_get_constraintdef(c.oid), chr(1) ORDER BY pg_get_constraintdef(c.oid) COLLATE "C")
          FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c')
      FROM types JOIN pg_type t USING (oid) WHERE t.typtype = 'd'
        AND (t.typnotnull OR EXISTS (SELECT FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'))
      ORDER BY 1`,
    [oid],
  );
  const generated = await connection.rows(
    `SELECT a.attname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
      JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = $1 AND a.attgenerated = 's' AND NOT a.attisdropped ORDER BY a.attnum`,
    [oid],
  );
  const partitions = kind === 'partitioned' ? await strictPartitions(connection, oid, notNull) : [];
  const facts = JSON.stringify({
    kind,
    columns,
    key,
    ...(values.length === 0 ? {} : {values}),
    ...(attributes.length === 0 ? {} : {attributes}),
    ...(domains.length === 0 ? {} : {domains}),
    ...(generated.length === 0 ? {} : {generated}),
    ...(partitions.length === 0 ? {} : {partitions}),
  });
  return createHash('sha256').update(facts).digest('hex').slice(0, 32);
}

/**
 * Partitions that do not take every row of the table: those of a hash, which no default partition completes, and those
 * whose columns are NOT NULL or computed otherwise than in the whole table.
 */
function strictPartitions(connection: Connection, oid: number, notNull: string): Promise<readonly Row[]> {
  return connection.rows(
    `SELECT bound, forbidden, computed FROM pg_partition_tree($1) tree JOIN pg_class m ON m.oid = tree.relid
      CROSS JOIN LATERAL (SELECT CASE WHEN p.partstrat = 'h' THEN pg_get_expr(m.relpartbound, m.oid) END AS bound,
        (SELECT string_agg(a.attname, chr(1) ORDER BY a.attname COLLATE "C") FROM pg_attribute a
          WHERE a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped AND ${notNull} AND NOT EXISTS (
            SELECT FROM pg_attribute r WHERE r.attrelid = $1 AND r.attname = a.attname AND r.attnotnull)) AS forbidden,
        (SELECT string_agg(a.attname || chr(2) || pg_get_expr(d.adbin, d.adrelid), chr(1)
            ORDER BY a.attname COLLATE "C")
          FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          WHERE a.attrelid = m.oid AND a.attgenerated = 's' AND NOT a.attisdropped AND NOT EXISTS (
            SELECT FROM pg_attribute r JOIN pg_attrdef w ON w.adrelid = r.attrelid AND w.adnum = r.attnum
            WHERE r.attrelid = $1 AND r.attname = a.attname
              AND pg_get_expr(w.adbin, w.adrelid) = pg_get_expr(d.adbin, d.adrelid))) AS computed
        FROM pg_partitioned_table p WHERE p.partrelid = tree.parentrelid) part
      WHERE concat(bound, forbidden, computed) <> '' ORDER BY 1, 2, 3`,
    [oid],
  );
}
