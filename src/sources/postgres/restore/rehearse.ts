import {BkpError} from '../../../errors/index.ts';
import type {Incoming, TargetFindings} from '../../source.ts';
import {withEventTrigger} from '../catalog/event-triggers.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {asIdent} from '../schema/rewrite.ts';
import {comparesRows, prepareToBuild, referredBy} from './build.ts';
import {LeftOut} from './left-out.ts';
import {publishInTransaction, type TableStatement} from './publish.ts';
import {StagedTables} from './staged-tables.ts';
import {inOrder, type StoredTable} from './stored.ts';

/** Applications wait behind a statement that waits for a lock, so it gives up soon. */
const limits = {lockTimeoutSeconds: 1, statementTimeoutSeconds: 10};

/**
 * Creates what a restore would create, without rows, and rolls it back: the server itself says what is in the way.
 * @param connection of its own
 * @throws BkpError if the connection is lost
 */
export async function rehearseRestore(
  connection: Connection,
  incoming: Incoming,
): Promise<Pick<TargetFindings, 'obstacle' | 'notices'>> {
  const notices: string[] = [];
  await connection.run('BEGIN');
  try {
    await createAndPublish(connection, incoming, (text) => notices.push(text));
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    // A session that still answers has met a lock or a limit of this moment, which says nothing about the restore.
    await connection.run('ROLLBACK').catch(() => Promise.reject(error));
    if (!error.retryable) return {obstacle: (await withEventTrigger(connection, error)) as BkpError, notices};
    notices.push(`not everything was tried in the target: ${serverWords(error)}: ${String(error.cause)}`);
  } finally {
    await connection.run('ROLLBACK').catch(() => {});
  }
  return {notices};
}

/** @throws BkpError what the restore would fail with */
async function createAndPublish(
  connection: Connection,
  {schemas: published, stored: schemas, objects, database}: Incoming,
  notice: (text: string) => void,
): Promise<void> {
  // Of this session alone: another dry run may be under way.
  const id = `dry run ${connection.pid}`;
  const staged = new StagedTables(connection, {id, schemas, published, objects, database});
  await staged.create(limits);
  await prepareToBuild(connection, limits);
  for (const [name, load] of staged.loads) {
    await load.columns(connection);
    await staged.closeRests(connection, name);
    const statements = inOrder([load.table], ({constraints, indexes}) => [...constraints, ...indexes]);
    for (const {sql} of statements) await staged.build(connection, name, sql);
  }
  for (const checks of await staged.checks()) await staged.addChecks(connection, checks);
  const waiting: TableStatement[] = [];
  for (const {isLate, ...key} of staged.inside()) {
    if (isLate) waiting.push(key);
    else await connection.run(staged.staged(key.sql));
  }
  for (const table of staged.tables.values()) await staged.setSequences(table);
  for (const text of staged.told) notice(text);
  const leftOut = new LeftOut(notice);
  const compared = new Set<string>();
  const accepted = (child: StoredTable, sql: string) => {
    const parent = referredBy(sql);
    if (parent === undefined || !comparesRows(sql)) return;
    compared.add(`${child.name} refers to ${asIdent(parent.schema)}.${asIdent(parent.table)}`);
  };
  await publishInTransaction(connection, {...staged.publishing(leftOut, waiting), accepted}, limits);
  leftOut.end();
  for (const key of compared) notice(`${key}: one of them is not restored, so the rows are compared at the end`);
  const filled = staged.after.filter(({isFilled}) => isFilled).map(({schema, name}) => `${schema}.${name}`);
  if (filled.length > 0) notice(`the restore refreshes ${filled.join(', ')}, which a dry run does not try`);
}
