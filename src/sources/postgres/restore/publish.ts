import {BkpError} from '../../../errors/index.ts';
import type {Mark, TableName} from '../../source.ts';
import {findRelation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {qualified, quoteIdent, unquoted} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {asIdent, type Moves, movedKeys, moveKey, rewrite} from '../schema/rewrite.ts';
import {ensureShared, trackInTransaction} from '../tracking/ensure.ts';
import {insertMark} from '../tracking/marks.ts';
import {isScanMark} from '../tracking/scan-mark.ts';
import {buildOne, inTwoSteps, validation} from './build.ts';
import {buildLater, isAnalysis, isComment, withNewName} from './build-later.ts';
import {forgetChecks} from './checks.ts';
import {forgetPlan} from './continued.ts';
import {domainsIn} from './domain-checks.ts';
import {HeldDomains} from './held-domains.ts';
import {fillLate, type LateRows} from './late-rows.ts';
import {forgetLater, laterIn, onSomePath} from './later.ts';
import {isGrant, type LeftOut, type MissingContent} from './left-out.ts';
import {isJoin} from './living-parents.ts';
import {forgetMade, madeIn} from './made.ts';
import {requireFreeNames} from './obstacles.ts';
import {dropLocale} from './other-locale.ts';
import {createShared} from './shared.ts';
import {inOrder, isTableOf, pairOf, type SharedObject, type StoredTable} from './stored.ts';

export type PublishOptions = {
  tables: readonly StoredTable[];
  /** The same tables under the names that they get, in the same order. */
  targets: readonly StoredTable[];
  /** What is created after the tables: views, and what nothing needs. */
  after: readonly SharedObject[];
  moves: Moves;
  /** A staging schema that may have no table. */
  schema: string;
  /** Foreign keys of a table to tables that are not restored. */
  outside: (table: StoredTable) => readonly string[];
  /** Rows of tables that can be read when all tables have their names. */
  late: ReadonlyMap<TableName, LateRows>;
  /** Foreign keys of and to those, which are created then. */
  waiting: readonly TableStatement[];
  /** Of the database of the backup, as a statement writes it. */
  searchPath: string | undefined;
  /** Of the backup, if the target has another one. */
  otherLocale: string | undefined;
  /** Absent: no backup continues after the restore. */
  resume?: {owner: string; mark: Mark} | undefined;
  leftOut: LeftOut;
  /** Receives views that had rows and stay empty, and indexes that the rows do not allow. */
  missing?: MissingContent | undefined;
  /** Receives each foreign key to a living table which that table accepts. */
  accepted?: ((target: StoredTable, sql: string) => void) | undefined;
};

export type TableStatement = {table: StoredTable; sql: string};

/** Of each statement of a rehearsal. */
export type Limits = {lockTimeoutSeconds: number; statementTimeoutSeconds: number};

type Validation = {target: StoredTable; sql: string};

/**
 * Moves all tables to their schemas in one transaction, with all that has an effect when rows are written: triggers,
 * rules, policies, foreign keys to other tables, grants, change tracking.
 */
export async function publishTables(connection: Connection, options: PublishOptions): Promise<void> {
  // A backup by reading needs nothing in the database to be continued.
  const resume = options.resume && isScanMark(options.resume.mark) ? undefined : options.resume;
  if (resume !== undefined) await ensureShared(connection);
  const validations = await connection.transaction('BEGIN', async () => {
    const keys = await publishInTransaction(connection, options);
    if (resume !== undefined) await resumeTracking(connection, options.tables, resume);
    return keys;
  });
  for (const one of validations) await validateAfter(connection, one, options.leftOut);
}

/**
 * @param limits of a rehearsal, which is rolled back. Absent: the tables have their rows
 * @returns foreign keys to living tables, of which the rows are still to be compared
 */
export async function publishInTransaction(
  connection: Connection,
  options: PublishOptions,
  limits?: Limits,
): Promise<readonly Validation[]> {
  const {tables, targets, after, moves, leftOut, late} = options;
  const targetOf = (table: StoredTable) => targets[tables.indexOf(table)]!;
  const validations: Validation[] = [];
  const addOutside = async (key: TableStatement, rewritten: (sql: string) => string) => {
    const {table, sql} = key;
    const steps = inTwoSteps(table, sql);
    // Rolled back at once in a rehearsal: the lock of the living table stops its writers.
    if (limits !== undefined) await connection.run('SAVEPOINT outside');
    const isAdded = await leftOut.try(connection, sql, {run: rewritten(steps?.add ?? sql), of: table.name});
    if (limits !== undefined) await connection.run('ROLLBACK TO SAVEPOINT outside; RELEASE SAVEPOINT outside');
    if (!isAdded) return;
    const target = targetOf(table);
    if (!options.waiting.includes(key)) options.accepted?.(target, sql);
    if (steps !== undefined) validations.push({target, sql: validation(nameOf(target), steps.constraint)});
  };
  await fixSettings(connection, limits ?? {lockTimeoutSeconds: 5});
  await connection.run('SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error');
  await requireFreeNames(connection, targets);
  const staged = (sql: string) => rewrite(sql, moves);
  const outside = inOrder(tables, options.outside);
  for (const one of outside) if (!late.has(one.table.name)) await addOutside(one, staged);
  // A policy or a rule that needs a view comes with it.
  const withViews = new Set(after.map(({sql}) => sql));
  const last = inOrder(tables, ({finish}) => finish).filter(({sql}) => !withViews.has(sql));
  const later = await laterIn(connection, options.schema);
  // Rows that come last must meet no policy of the role that restores them.
  const isUnfinished = new Set([...later.map(({name}) => name), ...late.keys()]);
  for (const {table, sql} of last.filter((one) => !isOfOwner(one))) {
    if (!isUnfinished.has(table.name)) await leftOut.try(connection, sql, {run: staged(sql), of: table.name});
  }
  const renames = tables.flatMap((table, at) => renamesOf(table, targets[at]!));
  await renameStaged(connection, renames, moves);
  await createSchemas(connection, renames);
  for (const table of tables) await moveTable(connection, table, {target: targetOf(table), moves});
  for (const target of targets) {
    for (const {kind, relation, owner, of} of ownersIn(target)) {
      const called = `${kind} ${qualified(...pairOf(relation))}`;
      await leftOut.giveOwner(connection, {called, owner, of});
    }
  }
  await createShared(connection, after, {leftOut, optional: true});
  const unfilled = tables.flatMap((table) => {
    const rows = late.get(table.name);
    return rows === undefined ? [] : [{rows, target: targetOf(table)}];
  });
  const held = new HeldDomains(connection, domainsIn(await madeIn(connection, options.schema)));
  await fillLate(connection, unfilled, {...options, held, missing: options.missing});
  const published = (sql: string) => rewrite(sql, new Map(), newNames(tables, targets));
  const lateKeys = outside.filter(({table}) => late.has(table.name));
  const unfinished = last.filter((one) => isUnfinished.has(one.table.name) && !isOfOwner(one));
  const finish = async ({table, sql}: TableStatement) =>
    leftOut.try(connection, sql, {run: published(sql), of: table.name});
  for (const one of unfinished.filter(isAccess)) await finish(one);
  // As when the application refreshes them: policies decide what their owners see.
  await connection.run('SET LOCAL row_security = on');
  // Without rows, its query may fail, or ask living tables for long.
  const filled = limits === undefined ? after.filter(({isFilled}) => isFilled) : [];
  for (const view of filled) await refresh(connection, view, options);
  await connection.run('SET LOCAL row_security = off');
  const steps = later
    .filter(({sql}) => !isAnalysis(sql))
    .toSorted((a, b) => orderOf(a.sql) - orderOf(b.sql))
    .map(({name, sql}) => {
      const table = tables.find((one) => one.name === name)!;
      return {target: targetOf(table), sql: published(withNewName(sql, table, targetOf(table)))};
    });
  const {searchPath, missing} = options;
  await buildLater(connection, steps, {searchPath, leftOut, missing});
  await held.hold(leftOut);
  // Some refer to a constraint that came with the indexes.
  for (const one of [...options.waiting, ...lateKeys]) await addOutside(one, published);
  for (const one of unfinished) if (!isAccess(one)) await finish(one);
  for (const table of tables) {
    if (!isUnfinished.has(table.name)) continue;
    const sql = `ANALYZE ${nameOf(targetOf(table))}`;
    await onSomePath(connection, options.searchPath, () => connection.run(sql)).catch((error: unknown) => {
      if (!(error instanceof BkpError) || error.context.sqlState === undefined) throw error;
      leftOut.tell(table.name, sql, error);
    });
  }
  for (const one of last.filter(isOfOwner)) await finish(one);
  await forgetMade(connection, options.schema);
  await forgetPlan(connection, options.schema);
  await forgetLater(connection, options.schema);
  await forgetChecks(connection, options.schema);
  await dropLocale(connection, options.schema);
  for (const schema of new Set([...moves.values(), options.schema])) await connection.run(`DROP SCHEMA ${schema}`);
  return validations;
}

async function refresh(
  connection: Connection,
  {called = '', schema, name}: SharedObject,
  {searchPath, missing}: Pick<PublishOptions, 'searchPath' | 'missing'>,
): Promise<void> {
  try {
    // Since version 17, functions have an empty path here, whatever is set.
    const path = connection.facts.version < 170_000 ? searchPath : undefined;
    await onSomePath(connection, path, () => connection.run(`REFRESH ${called}`));
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    const isThere = (await connection.value('SELECT to_regclass($1)', [qualified(schema, name)])) !== undefined;
    const why = isThere ? `${serverWords(error)}; REFRESH ${called} tries again` : 'the view could not be created';
    missing?.({name: `the content of ${schema}.${name}`, why});
  }
}

/** Indexes and own sequences have the owner of their table; partitions and statistics may have another one. */
function ownersIn({name, schema, table, owner, ...others}: StoredTable) {
  const {partitions, partitionOwners, statistics, statisticsOwners} = others;
  const withOwners = (kind: string, relations: readonly string[], owners: readonly string[] = []) =>
    relations.map((relation, at) => ({
      ...{kind, relation, owner: owners[at] ?? owner},
      of: pairOf(relation).map(asIdent).join('.'),
    }));
  return [
    {kind: 'TABLE', relation: `${schema}\0${table}`, owner, of: name},
    ...withOwners('TABLE', partitions, partitionOwners),
    ...withOwners('STATISTICS', statistics, statisticsOwners),
  ];
}

/** Whether a grant takes rights from the owner: that can be done when the owner is the owner. */
function isOfOwner({table: {owner, partitionOwners = []}, sql}: TableStatement): boolean {
  const revoked = [...sql.matchAll(/^REVOKE .*? FROM ("(?:[^"]|"")*"|[^\s";]+);$/gmsu)].map(([, role]) => role!);
  return revoked.some((role) => [owner, ...partitionOwners].includes(unquoted(role)));
}

/** What others are about, or need, may have been left for the end after them: constraints, for which parents ask. */
const orderOf = (sql: string) => (isComment(sql) ? 2 : isJoin(sql) ? 1 : 0);

/** It says who may read which rows, and needs no constraint and no index. */
const isAccess = ({sql}: TableStatement) =>
  isGrant(sql) || /^CREATE POLICY |^ALTER TABLE .* ROW LEVEL SECURITY;?$/su.test(sql);

const nameOf = ({schema, table}: StoredTable) => qualified(schema, table);

/** As the statements of the backup call what is created with the tables, and how it is called now. */
export function newNames(tables: readonly StoredTable[], targets: readonly StoredTable[]): ReadonlyMap<string, string> {
  const names = tables.flatMap((table, at) =>
    table.relations.flatMap((relation, number) => {
      const name = qualified(...pairOf(targets[at]!.relations[number]!));
      return movedKeys(...pairOf(relation), {isTable: isTableOf(table, relation)}).map((key) => [key, name] as const);
    }),
  );
  return new Map(names);
}

/**
 * Compares the rows of a foreign key to a living table after they are visible: it takes long, and its lock would stop
 * the writers of that table. New rows are checked all the same.
 */
async function validateAfter(connection: Connection, {target, sql}: Validation, leftOut: LeftOut): Promise<void> {
  try {
    await buildOne(connection, sql);
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    leftOut.unchecked(target.name, `${sql};`, {error});
  }
}

type Rename = {from: readonly [string, string]; to: readonly [string, string]; isStatistics: boolean};

/** Everything that is created with a table and gets another name or schema. */
function renamesOf(table: StoredTable, target: StoredTable): readonly Rename[] {
  return table.relations.flatMap((relation, at) => {
    const [from, to] = [pairOf(relation), pairOf(target.relations[at]!)];
    if (from[0] === to[0] && from[1] === to[1]) return [];
    return [{from, to, isStatistics: table.statistics.includes(relation)}];
  });
}

/** In the staging schemas, first to names that nothing has: tables may exchange their names. */
async function renameStaged(connection: Connection, renames: readonly Rename[], moves: Moves): Promise<void> {
  const second: string[] = [];
  for (const [at, {from, to, isStatistics}] of renames.entries()) {
    if (from[1] === to[1]) continue;
    const schema = moves.get(moveKey(...from))!;
    const kind = isStatistics
      ? 'STATISTICS'
      : await connection.value(
          `SELECT CASE relkind WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END
            FROM pg_class WHERE oid = to_regclass($1)`,
          [`${schema}.${quoteIdent(from[1])}`],
        );
    // The constraints that have no index keep their names, which belong to their table.
    if (kind === undefined) continue;
    await connection.run(`ALTER ${kind} ${schema}.${quoteIdent(from[1])} RENAME TO _bkp_${at}`);
    second.push(`ALTER ${kind} ${schema}._bkp_${at} RENAME TO ${quoteIdent(to[1])}`);
  }
  for (const sql of second) await connection.run(sql);
}

async function createSchemas(connection: Connection, renames: readonly Rename[]): Promise<void> {
  for (const schema of new Set(renames.map(({to}) => to[0]))) {
    const isThere = await connection.value('SELECT oid FROM pg_namespace WHERE nspname = $1', [schema]);
    if (isThere === undefined) await connection.run(`CREATE SCHEMA ${quoteIdent(schema)}`);
  }
}

/** Indexes and own sequences go with their table; partitions and statistics do not. */
async function moveTable(
  connection: Connection,
  table: StoredTable,
  {target, moves}: {target: StoredTable; moves: Moves},
): Promise<void> {
  const own = `${table.schema}\0${table.table}`;
  const move = async (kind: string, relation: string) => {
    const staging = moves.get(moveKey(...pairOf(relation)));
    const [schema, name] = pairOf(target.relations[table.relations.indexOf(relation)]!);
    await connection.run(`ALTER ${kind} ${staging}.${quoteIdent(name)} SET SCHEMA ${quoteIdent(schema)}`);
  };
  for (const relation of [own, ...table.partitions]) await move('TABLE', relation);
  for (const relation of table.statistics) await move('STATISTICS', relation);
}

async function resumeTracking(
  connection: Connection,
  tables: readonly StoredTable[],
  {owner, mark}: {owner: string; mark: Mark},
): Promise<void> {
  for (const {name} of tables) {
    const relation = await findRelation(connection, name);
    if (relation?.hasPrimaryKey !== true) continue;
    await trackInTransaction(connection, relation);
    await connection.rows('DELETE FROM _bkp.mark WHERE owner = $1 AND mark = $2 AND rel = $3::oid', [
      owner,
      mark,
      relation.oid,
    ]);
    await insertMark(connection, {owner, mark, oid: relation.oid});
  }
}
