import {BkpError} from '../../../errors/index.ts';
import type {Mark} from '../../source.ts';
import {findRelation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {type Moves, moveKey, rewrite} from '../schema/rewrite.ts';
import {ensureShared, trackInTransaction} from '../tracking/ensure.ts';
import {insertMark} from '../tracking/marks.ts';
import {requireFreeNames} from './obstacles.ts';
import {inOrder, pairOf, type StoredTable, type StoredView} from './stored.ts';

export type PublishOptions = {
  tables: readonly StoredTable[];
  /** The same tables under the names that they get, in the same order. */
  targets: readonly StoredTable[];
  views: readonly StoredView[];
  moves: Moves;
  /** Foreign keys of a table to tables that are not restored. */
  outside: (table: StoredTable) => readonly string[];
  resume: {owner: string; mark: Mark} | undefined;
  notice: ((text: string) => void) | undefined;
};

/**
 * Moves all tables to their schemas in one transaction, with all that has an effect when rows are written: triggers,
 * rules, policies, foreign keys to other tables, grants, change tracking.
 */
export async function publishTables(connection: Connection, options: PublishOptions): Promise<void> {
  const {tables, targets, views, moves, resume, notice} = options;
  if (resume !== undefined) await ensureShared(connection);
  await connection.transaction('BEGIN', async () => {
    await fixSettings(connection, {lockTimeoutSeconds: 5});
    await connection.run('SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error');
    await requireFreeNames(connection, targets);
    const late = (table: StoredTable) => [...options.outside(table), ...table.finish];
    for (const {table, sql} of inOrder(tables, late))
      await tryStatement(connection, sql, {run: rewrite(sql, moves), table: table.name, notice});
    const renames = tables.flatMap((table, at) => renamesOf(table, targets[at]!));
    await renameStaged(connection, renames, moves);
    await createSchemas(connection, renames);
    for (const [at, table] of tables.entries()) await moveTable(connection, table, {target: targets[at]!, moves});
    for (const table of targets) await giveOwner(connection, table, notice);
    for (const {name, sql} of views) await tryStatement(connection, sql, {table: name, notice});
    if (resume !== undefined) await resumeTracking(connection, tables, resume);
    for (const schema of new Set(moves.values())) await connection.run(`DROP SCHEMA ${schema}`);
  });
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

/** What needs something that the target lacks is left out and told; the rows are restored all the same. */
async function tryStatement(
  connection: Connection,
  sql: string,
  {run = sql, table, notice}: {run?: string; table: string; notice: ((text: string) => void) | undefined},
): Promise<void> {
  await connection.run('SAVEPOINT one');
  try {
    await connection.run(`${run}; RELEASE SAVEPOINT one`);
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    await connection.run('ROLLBACK TO SAVEPOINT one');
    const statement = sql.replaceAll(/\s+/gu, ' ').slice(0, 120);
    notice?.(`left out of ${table}: ${statement}, because ${error.message.replace(/^.*reported an error: /u, '')}`);
  }
}

async function giveOwner(
  connection: Connection,
  {owner, schema, table, name}: StoredTable,
  notice: ((text: string) => void) | undefined,
): Promise<void> {
  const can = await connection.value(
    "SELECT rolname = current_user OR pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = $1",
    [owner],
  );
  if (can === 't') {
    const sql = `ALTER TABLE ${quoteIdent(schema)}.${quoteIdent(table)} OWNER TO ${quoteIdent(owner)}`;
    // The owner may lack CREATE on the schema, without which it cannot become the owner.
    await tryStatement(connection, sql, {table: name, notice});
    return;
  }
  const why = can === undefined ? 'does not exist' : 'cannot be given it';
  notice?.(`${name} belongs to the role that restored it: ${owner} ${why}`);
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
