import {createHash} from 'node:crypto';
import {isDeepStrictEqual} from 'node:util';
import {BkpError} from '../../../errors/index.ts';
import type {SnapshotOptions} from '../../source.ts';
import {definitionsHash} from '../catalog/definitions.ts';
import {leftBehindOf, placesLeftBehind} from '../catalog/left-behind.ts';
import {localeOf} from '../catalog/locale.ts';
import {withLockHolder} from '../catalog/lock-holder.ts';
import {isUserSchema} from '../catalog/own-schemas.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {fixSettings} from '../connection/session.ts';
import {closedSelection} from '../schema/closure.ts';
import {type DumpOptions, dumpSchema} from '../schema/dump.ts';
import type {Entry} from '../schema/entries.ts';
import {type SchemaParts, toldIn, withSequencesNow} from '../schema/parts.ts';
import {select} from '../schema/select.ts';
import {schemaState} from '../schema/state.ts';
import {objectsAfter, sharedText, tableSchemasOf} from '../schema/table-schema.ts';
import {type BeginOptions, beginSnapshot, heldBy} from './begin.ts';
import {tellHiddenReads} from './hidden-reads.ts';
import {type Partitions, partitionsOf} from './partitions.ts';
import {tellReplacedFunctions} from './replaced-functions.ts';
import {requireClosed} from './require-closed.ts';
import {requireUniqueRows} from './unique-rows.ts';

/**
 * To be raised with every change of what this version makes of the same definitions: increments take over what the
 * backup before has of them.
 */
const revision = 5;
const schemaTries = 5;

export type PartsOptions = Omit<DumpOptions, 'without' | 'signal'> & {asked: SnapshotOptions; isIncrement: boolean};

export type BegunWithParts = {
  /** Of the relations, when their schemas were read. */
  rootOf: Partitions;
  parts: SchemaParts;
};

/**
 * Begins the transaction of the snapshot, with the schema of the same moment: that of the backup before where nothing
 * has changed since then, because pg_dump and what follows from it are most of a small increment.
 * @throws BkpError `SOURCE_LOCKED` | `BUSY` | `UNSUPPORTED` if no restore could create a table |
 *   `SOURCE_DAMAGED` if rows have one key that has to be unique
 */
export async function beginWithParts(
  connection: Connection,
  relations: readonly Relation[],
  options: PartsOptions,
): Promise<BegunWithParts> {
  const {objects = false} = options.asked;
  const {rootOf, parts} =
    (await beginAsBefore(connection, relations, options)) ?? (await beginAnew(connection, relations, options));
  await requireUniqueRows(connection, relations);
  const {without: _, ...database} = parts.database;
  const without = objects
    ? await leftBehindOf(connection)
    : await placesLeftBehind(
        connection,
        relations.map(({name}) => name),
      );
  const facts = without.length === 0 ? database : {...database, without: without.join('\n')};
  return {rootOf, parts: {...parts, database: facts}};
}

/** @returns undefined if there is no backup before, or something changed; then no transaction has begun */
async function beginAsBefore(
  connection: Connection,
  relations: readonly Relation[],
  options: PartsOptions,
): Promise<BegunWithParts | undefined> {
  const {before, notice} = options.asked;
  if (before?.database.definitions === undefined) return undefined;
  // A partition that came or went after this changes the definitions.
  const rootOf = await partitionsOf(connection, relations);
  await beginSnapshot(connection, {relations, oids: oidsOf(relations, rootOf)}, beginOptionsOf(options));
  if (stateOf(await definitionsHash(connection), relations, options) !== before.database.definitions) {
    await connection.run('ROLLBACK');
    return undefined;
  }
  for (const text of toldIn(before.database)) notice?.(text);
  const schemaOf = new Map(before.schemas.map((schema) => [schema.name, schema]));
  const schemas = relations.map(({name}) => schemaOf.get(name)!);
  return {rootOf, parts: await withSequencesNow(connection, {...before, schemas})};
}

async function beginAnew(
  connection: Connection,
  relations: readonly Relation[],
  options: PartsOptions,
): Promise<BegunWithParts> {
  const {omitIndexes = false, objects = false, notice} = options.asked;
  const {entries, rootOf, definitions} = await beginWithEntries(connection, relations, options);
  const told: string[] = [];
  const tell = (text: string) => {
    told.push(text);
    notice?.(text);
  };
  const {selection, gaps} = await closedSelection(connection, entries, (all) =>
    select(all, relations, {rootOf, withViews: objects}),
  );
  await requireClosed(connection, {selection, gaps, notice: tell});
  await tellHiddenReads(connection, relations, {withViews: objects, notice: tell});
  await tellReplacedFunctions(connection, relations, tell);
  const names = new Map(relations.map(({oid, name}) => [oid, name]));
  const nameOf = (oid: number) => names.get(oid)!;
  const tables = relations.map((relation) => {
    const {oid} = relation;
    return {relation, parts: selection.parts.get(oid)!, needs: [...selection.needs.get(oid)!].map(nameOf)};
  });
  const schemas = await tableSchemasOf(connection, tables, {omitIndexes});
  const state = stateOf(definitions, relations, options);
  const database = {
    product: 'postgres',
    version: connection.facts.version,
    encoding: connection.facts.encoding,
    shared: await sharedText(connection, selection, nameOf),
    searchPath: await searchPathOf(connection),
    locale: await localeOf(connection),
    ...(state === undefined ? {} : {definitions: state}),
    ...(state === undefined || told.length === 0 ? {} : {told: JSON.stringify(told)}),
  };
  return {rootOf, parts: {schemas, objects: objects ? await objectsAfter(connection, selection) : [], database}};
}

/** Of the role and the database: functions of the application may find names on it. */
async function searchPathOf(connection: Connection): Promise<string> {
  return (await connection.value("SELECT reset_val FROM pg_settings WHERE name = 'search_path'")) ?? '';
}

/** Of what the parts are made; undefined if that is not known. */
function stateOf(
  definitions: string | undefined,
  relations: readonly Relation[],
  {asked: {objects = false, omitIndexes = false}}: PartsOptions,
): string | undefined {
  if (definitions === undefined) return undefined;
  const tables = relations.map(({name}) => name).toSorted();
  const all = JSON.stringify({revision, definitions, tables, objects, omitIndexes});
  return createHash('sha256').update(all).digest('hex');
}

/**
 * Begins the transaction of the snapshot, and reads the schema of the same moment. pg_dump runs before it, because it
 * could not get its locks while this one holds its own; if the schema has changed by then, both begin again.
 * @returns `definitions`: of all catalogs, if none of them changed from before pg_dump to the snapshot
 * @throws BkpError `SOURCE_LOCKED` when it changes all the time
 */
async function beginWithEntries(
  connection: Connection,
  relations: readonly Relation[],
  options: PartsOptions,
): Promise<{entries: readonly Entry[]; rootOf: Partitions; definitions: string | undefined}> {
  const {objects = false, signal, track} = options.asked;
  for (let left = schemaTries; left > 0; left--) {
    const rootOf = await partitionsOf(connection, relations);
    const oids = oidsOf(relations, rootOf);
    const without = objects ? [] : await otherTables(connection, relations, rootOf);
    const before = await schemaState(connection, oids);
    // Nothing follows on a backup without tracking.
    const allBefore = track === undefined ? undefined : await definitionsAlone(connection, options);
    const entries = await dumpSchema(connection, {...options, without, signal}).catch(async (error: unknown) => {
      throw await withLockHolder(connection, error, heldBy(oids));
    });
    await beginSnapshot(connection, {relations, oids}, beginOptionsOf(options));
    const all = allBefore === undefined ? undefined : await definitionsHash(connection);
    if (all !== undefined && all === allBefore) return {entries, rootOf, definitions: all};
    const isSame = (await schemaState(connection, oids)) === before;
    if (isSame && isDeepStrictEqual(await partitionsOf(connection, relations), rootOf)) {
      return {entries, rootOf, definitions: undefined};
    }
    await connection.run('ROLLBACK');
  }
  throw new BkpError('SOURCE_LOCKED', `the schema of ${connection.facts.place} changes all the time`, {
    cause: `${schemaTries} times, a statement changed a table, a type or a function while bkp read the schema`,
    next: 'give the statement again when the schema has settled',
    retryable: true,
  });
}

async function definitionsAlone(
  connection: Connection,
  {lockTimeoutSeconds}: PartsOptions,
): Promise<string | undefined> {
  return connection.transaction('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', async () => {
    await fixSettings(connection, {lockTimeoutSeconds});
    return definitionsHash(connection);
  });
}

const oidsOf = (relations: readonly Relation[], rootOf: Partitions): readonly number[] => [
  ...new Set([...relations.map(({oid}) => oid), ...rootOf.keys()]),
];

const beginOptionsOf = ({lockTimeoutSeconds, isIncrement, asked: {known}}: PartsOptions): BeginOptions => ({
  lockTimeoutSeconds,
  isIncrement,
  known,
});

/** Patterns of pg_dump for every other table, which it would lock. */
async function otherTables(
  connection: Connection,
  relations: readonly Relation[],
  rootOf: Partitions,
): Promise<readonly string[]> {
  const own = new Set([...relations.map(({oid}) => oid), ...rootOf.keys()]);
  const rows = await connection.rows(`
    SELECT c.oid, '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${isUserSchema}`);
  return rows.filter(([oid]) => !own.has(Number(oid))).map(([, pattern]) => pattern!);
}
