import {randomUUID} from 'node:crypto';
import type {Mark} from '../../source.ts';
import type {KeyColumn} from '../catalog/columns.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {logColumns, logOf, witnessQuery} from './objects.ts';

/**
 * A position in the logs: for each table, which transactions its snapshot sees. It is set before the snapshot of the
 * backup, in a transaction of its own, so that the backup sees every change that the mark sees.
 */
export async function setMark(connection: Connection, owner: string, relations: readonly Relation[]): Promise<Mark> {
  const mark = randomUUID();
  await connection.transaction('BEGIN', async () => {
    for (const {oid} of relations) {
      await insertMark(connection, {owner, mark, oid});
    }
  });
  return mark;
}

/** Records what the current snapshot sees, and how tracking of the table looks now. */
export async function insertMark(
  connection: Connection,
  {owner, mark, oid}: {owner: string; mark: Mark; oid: number},
): Promise<void> {
  await connection.rows(
    `INSERT INTO _bkp.mark (owner, mark, rel, snap, witness)
      SELECT $1, $2, $3::oid, pg_current_snapshot(), (${witnessQuery(oid)})`,
    [owner, mark, oid],
  );
}

/** Whether the database has bkp's own tables. */
export async function isTracking(connection: Connection): Promise<boolean> {
  return (await connection.value("SELECT to_regclass('_bkp.mark') IS NOT NULL")) === 't';
}

/** What was recorded with a mark of a table. */
export type MarkRow = {snapshot: string; witness: string};

export async function markRow(
  connection: Connection,
  {owner, mark, oid}: {owner: string; mark: Mark; oid: number},
): Promise<MarkRow | undefined> {
  const [row] = await connection.rows(
    'SELECT snap, witness FROM _bkp.mark WHERE owner = $1 AND mark = $2 AND rel = $3',
    [owner, mark, oid],
  );
  return row === undefined ? undefined : {snapshot: row[0]!, witness: row[1]!};
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
