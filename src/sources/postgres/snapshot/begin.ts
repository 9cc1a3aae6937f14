import {BkpError} from '../../../errors/index.ts';
import type {TableName} from '../../source.ts';
import {withLockHolder} from '../catalog/lock-holder.ts';
import {ownTableNames, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {lockText} from './from.ts';

export type BeginOptions = {
  lockTimeoutSeconds: number;
  /** It may create temporary tables. */
  isIncrement: boolean;
  /** Every table of the database, when it was listed. */
  known: readonly TableName[] | undefined;
};

/** A lock as strong as that of a reader. @param oids of tables and partitions */
export const heldBy = (oids: readonly number[]) =>
  ({oids, mode: 'ACCESS SHARE', cause: 'a backup reads a table between two changes of its schema'}) as const;

/**
 * Begins the transaction of the snapshot, with a lock on every table.
 * @param oids of the tables and their partitions
 * @throws BkpError `SOURCE_LOCKED` | `BUSY` if the tables are not those that were listed
 */
export async function beginSnapshot(
  connection: Connection,
  {relations, oids}: {relations: readonly Relation[]; oids: readonly number[]},
  {lockTimeoutSeconds, isIncrement, known}: BeginOptions,
): Promise<void> {
  // An increment collects keys in a temporary table, which a READ ONLY transaction cannot create.
  await connection.run(`BEGIN ISOLATION LEVEL REPEATABLE READ ${isIncrement ? '' : 'READ ONLY'}`);
  await fixSettings(connection, {lockTimeoutSeconds});
  // TRUNCATE and rewriting ALTERs wait for the lock: to a snapshot from before, they would have emptied the table.
  if (relations.length > 0) {
    await connection.run(lockText(relations)).catch(async (error: unknown) => {
      await connection.run('ROLLBACK').catch(() => {});
      // One that was dropped cannot be locked.
      if (known !== undefined) await requireKnown(connection, known);
      throw await withLockHolder(connection, error, heldBy(oids)).catch(() => error);
    });
  }
  if (known !== undefined) await requireKnown(connection, known);
  await requireSameTables(connection, relations);
}

/**
 * A partition that was detached since the listing would be neither with its table nor for itself, and so would the rows
 * of a table that another one took over.
 * @param known every table of the database, when it was listed
 * @throws BkpError `BUSY`
 */
export async function requireKnown(connection: Connection, known: readonly TableName[]): Promise<void> {
  const names = new Set(await ownTableNames(connection));
  const listed = new Set(known);
  const other = known.find((name) => !names.has(name)) ?? [...names].find((name) => !listed.has(name));
  if (other === undefined) return;
  throw new BkpError('BUSY', `tables were created, dropped, attached or detached while the backup began: ${other}`, {
    next: 'give the statement again',
    retryable: true,
  });
}

/**
 * A name may mean another table by the time it is locked, whose rows would be taken for those of the first one; and the
 * rows of a partition would be taken twice.
 * @throws BkpError `SOURCE_LOCKED`
 */
async function requireSameTables(connection: Connection, relations: readonly Relation[]): Promise<void> {
  const names = relations.map(({schema, table}) => qualified(schema, table));
  const now = await connection.rows(
    `SELECT c.oid, c.relispartition FROM json_array_elements_text($1::json) WITH ORDINALITY AS listed (name, at)
      LEFT JOIN pg_class c ON c.oid = to_regclass(name) ORDER BY at`,
    [JSON.stringify(names)],
  );
  for (const [at, {oid, name}] of relations.entries()) {
    const isPartition = now[at]![1] === 't';
    if (Number(now[at]![0]) === oid && !isPartition) continue;
    const what = isPartition ? 'became a partition of another one' : 'was replaced by another one';
    throw new BkpError('SOURCE_LOCKED', `table ${name} ${what} while the backup began`, {
      next: 'give the statement again',
      context: {table: name},
      retryable: true,
    });
  }
}
