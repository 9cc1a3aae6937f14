import {BkpError} from '../../../errors/index.ts';
import type {Mark} from '../../source.ts';
import {findRelation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {type Moves, moveKey} from '../schema/rewrite.ts';
import {ensureShared, trackInTransaction} from '../tracking/ensure.ts';
import {insertMark} from '../tracking/marks.ts';
import {requireFreeNames} from './obstacles.ts';
import {inOrder, pairOf, type StoredTable, type StoredView} from './stored.ts';

export type PublishOptions = {
  tables: readonly StoredTable[];
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
  const {tables, views, moves, resume, notice} = options;
  if (resume !== undefined) await ensureShared(connection);
  await connection.transaction('BEGIN', async () => {
    await fixSettings(connection, {lockTimeoutSeconds: 5});
    await connection.run('SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error');
    await requireFreeNames(connection, tables);
    for (const table of tables) await moveTable(connection, table, moves);
    const late = (table: StoredTable) => [...options.outside(table), ...table.finish];
    for (const {table, sql} of inOrder(tables, late)) await tryStatement(connection, sql, {table: table.name, notice});
    for (const table of tables) await giveOwner(connection, table, notice);
    for (const {name, sql} of views) await tryStatement(connection, sql, {table: name, notice});
    if (resume !== undefined) await resumeTracking(connection, tables, resume);
    for (const schema of new Set(moves.values())) await connection.run(`DROP SCHEMA ${schema}`);
  });
}

/** Indexes and own sequences go with their table; partitions and statistics do not. */
async function moveTable(connection: Connection, table: StoredTable, moves: Moves): Promise<void> {
  const {schema, table: name, partitions, statistics} = table;
  const staged = (of: string, relation: string) => `${moves.get(moveKey(of, relation))}.${quoteIdent(relation)}`;
  for (const [of, relation] of [[schema, name] as const, ...partitions.map(pairOf)]) {
    await connection.run(`ALTER TABLE ${staged(of, relation)} SET SCHEMA ${quoteIdent(of)}`);
  }
  for (const [of, relation] of statistics.map(pairOf)) {
    await connection.run(`ALTER STATISTICS ${staged(of, relation)} SET SCHEMA ${quoteIdent(of)}`);
  }
}

/** What needs something that the target lacks is left out and told; the rows are restored all the same. */
async function tryStatement(
  connection: Connection,
  sql: string,
  {table, notice}: {table: string; notice: ((text: string) => void) | undefined},
): Promise<void> {
  await connection.run('SAVEPOINT one');
  try {
    await connection.run(`${sql}; RELEASE SAVEPOINT one`);
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
