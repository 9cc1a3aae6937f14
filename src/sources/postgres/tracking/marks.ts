import {randomUUID} from 'node:crypto';
import type {Mark} from '../../source.ts';
import type {KeyColumn} from '../catalog/columns.ts';
import {isTrackingSchema} from '../catalog/own-schemas.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {logColumns, logOf, witnessQuery} from './objects.ts';

/** Precedes the witness of a mark until the mark is confirmed. */
const unconfirmed = '?';

/**
 * A position in the logs: for each table, which transactions its snapshot sees. It is set before the snapshot of the
 * backup, in a transaction of its own, so that the backup sees every change that the mark sees. It counts once
 * {@link confirmMark} has followed the backup.
 */
export async function setMark(connection: Connection, owner: string, relations: readonly Relation[]): Promise<Mark> {
  const mark = randomUUID();
  await connection.transaction('BEGIN', async () => {
    for (const {oid} of relations) {
      await insertMark(connection, {owner, mark, oid}, unconfirmed);
    }
  });
  return mark;
}

/** Records what the current snapshot sees, and how tracking of the table looks now. */
export async function insertMark(
  connection: Connection,
  {owner, mark, oid}: {owner: string; mark: Mark; oid: number},
  prefix = '',
): Promise<void> {
  await connection.rows(
    `INSERT INTO _bkp.mark (owner, mark, rel, snap, witness)
      SELECT $1, $2, $3::oid, pg_current_snapshot(), $4 || (${witnessQuery(oid)})`,
    [owner, mark, oid, prefix],
  );
}

/**
 * To be called when the backup of the mark has been read. A crash, or a failover to a standby that was behind, can take
 * transactions that the backup has seen: those with synchronous_commit = off, or all that the standby had not received.
 * What is left is the beginning of the write-ahead log. So a mark that is confirmed shows that nothing was taken that
 * its backup saw: the confirmation is behind all of that in the log.
 */
export async function confirmMark(connection: Connection, owner: string, mark: Mark): Promise<void> {
  await connection.transaction('BEGIN', async () => {
    await connection.run('SET LOCAL synchronous_commit = on');
    await connection.rows(
      `UPDATE _bkp.mark SET witness = substr(witness, 2)
        WHERE owner = $1 AND mark = $2 AND starts_with(witness, $3)`,
      [owner, mark, unconfirmed],
    );
  });
}

/** Whether the database has bkp's own tables. */
export async function isTracking(connection: Connection): Promise<boolean> {
  return (await connection.value(`SELECT EXISTS (SELECT FROM pg_namespace n WHERE ${isTrackingSchema})`)) === 't';
}

/** What was recorded with a mark of a table. */
export type MarkRow = {snapshot: string; witness: string; isConfirmed: boolean};

export async function markRow(
  connection: Connection,
  {owner, mark, oid}: {owner: string; mark: Mark; oid: number},
): Promise<MarkRow | undefined> {
  const [row] = await connection.rows(
    'SELECT snap, witness FROM _bkp.mark WHERE owner = $1 AND mark = $2 AND rel = $3',
    [owner, mark, oid],
  );
  if (row === undefined) return undefined;
  return {snapshot: row[0]!, witness: row[1]!, isConfirmed: !row[1]!.startsWith(unconfirmed)};
}

/** Whether nothing was logged since the last backup of all owners. */
export async function isLogEmpty(connection: Connection, oid: number): Promise<boolean> {
  return (await connection.value(`SELECT EXISTS (SELECT FROM ${logOf(oid)})`)) === 'f';
}

/** The keys that were logged since a mark, each once. */
export function changedKeys(oid: number, key: readonly KeyColumn[], {snapshot}: MarkRow): string {
  return `SELECT DISTINCT ${logColumns(key)} FROM ${logOf(oid)} WHERE ${sinceCondition(snapshot)}`;
}

export const sinceCondition = (snapshot: string) =>
  `x >= pg_catalog.pg_snapshot_xmin('${snapshot}') AND NOT pg_catalog.pg_visible_in_snapshot(x, '${snapshot}')`;

/**
 * Why the log does not show everything that changed since a mark; undefined when it does. The clause follows "all rows
 * of … are taken:".
 */
export async function whyAllRows(
  connection: Connection,
  oid: number,
  row: MarkRow | undefined,
): Promise<string | undefined> {
  if (row === undefined) return 'its change log began after the backup before';
  if (!row.isConfirmed) return 'the server may have lost, in a crash or failover, changes that the backup before has';
  if ((await connection.value(witnessQuery(oid))) !== row.witness) {
    return 'its triggers, columns or partitions were changed since the backup before';
  }
  const truncated = await connection.value(
    `SELECT EXISTS (SELECT FROM ${logOf(oid)} WHERE k0 IS NULL AND ${sinceCondition(row.snapshot)})`,
  );
  return truncated === 't' ? 'it was truncated since the backup before' : undefined;
}

/** Whether the source has a mark of any table. */
export async function isMarkKnown(connection: Connection, owner: string, mark: Mark): Promise<boolean> {
  if (!(await isTracking(connection))) return false;
  const found = await connection.value('SELECT EXISTS (SELECT FROM _bkp.mark WHERE owner = $1 AND mark = $2)', [
    owner,
    mark,
  ]);
  return found === 't';
}

/**
 * A backup with this mark is durable: the owner's other marks go, and of the logs what every remaining mark sees.
 * Without a mark, the owner's tracking ends.
 */
export async function keepMark(connection: Connection, owner: string, mark: Mark | undefined): Promise<void> {
  await connection.transaction('BEGIN', async () => {
    await connection.run("SET LOCAL _bkp.trim = 'on'");
    const tracked = await connection.rows('SELECT DISTINCT rel FROM _bkp.mark WHERE owner = $1', [owner]);
    await connection.rows('DELETE FROM _bkp.mark WHERE owner = $1 AND mark IS DISTINCT FROM $2', [owner, mark ?? null]);
    for (const [rel] of tracked) {
      const oid = Number(rel);
      if ((await connection.value(`SELECT to_regclass('${logOf(oid)}') IS NOT NULL`)) !== 't') continue;
      await connection.run(`DELETE FROM ${logOf(oid)} l WHERE NOT EXISTS (
        SELECT FROM _bkp.mark m WHERE m.rel = ${oid} AND NOT pg_visible_in_snapshot(l.x, m.snap))`);
    }
  });
}
