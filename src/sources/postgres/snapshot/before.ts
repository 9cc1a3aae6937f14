import type {Mark, TakeOver} from '../../source.ts';
import {textState} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import type {ReadCuts, Seen} from '../segments/ranges.ts';
import type {KnownBefore} from '../segments/table-to-read.ts';
import {isLogEmpty, markRow} from '../tracking/marks.ts';

/** After as many backups in a row that took over ranges, one reads all rows. */
export const mostUnread = 9;
/** Numbers of transactions have 32 bits, half of which are older. The margin is for those of a long backup. */
const mostTransactions = 2n ** 31n - 2n ** 24n;

/** The change log that shows that the database has one history; absent if it is only read. */
export type Tracked = {owner: string; mark: Mark};
type TableNow = {oid: number; byBlock: boolean; tracked: Tracked | undefined};

/**
 * What is known of the time between a base and the one before: `seen` for the cuts, and from when on rows are new.
 *
 * Numbers of transactions mean the same now as then only in one history of the database. A copy of an earlier state
 * gives the same numbers to other transactions. What shows that this is not one is a mark: random, written before the
 * snapshot of its backup, and known by this database. Where nothing is written, it is the server: a process that has
 * run since then has gone back to no earlier state. Without either, everything is read.
 */
export async function sinceBefore(
  connection: Connection,
  table: TableNow,
  {cuts, takeOver}: {cuts: ReadCuts | undefined; takeOver: TakeOver | undefined},
): Promise<{seen: Seen | undefined; takeOver: KnownBefore | undefined}> {
  const seen = await seenNow(connection, table, cuts?.seen);
  if (seen === undefined || takeOver === undefined) return {seen, takeOver: undefined};
  const {tracked, oid} = table;
  const isKnown =
    tracked === undefined || (await markRow(connection, {...tracked, mark: takeOver.mark, oid}))?.isConfirmed === true;
  const xmin = isKnown ? await xminBefore(connection, cuts?.seen, seen.state) : undefined;
  if (xmin === undefined) return {seen, takeOver: undefined};
  const isQuiet = tracked === undefined || (await isLogEmpty(connection, oid));
  return {seen, takeOver: {xmin, isKept: takeOver.isKept, isQuiet}};
}

/** From which transaction on rows are new to a base. @returns undefined if that cannot be known */
export async function newSince(connection: Connection, table: TableNow, cuts: ReadCuts): Promise<string | undefined> {
  const seen = await seenNow(connection, table, cuts.seen);
  return seen && xminBefore(connection, cuts.seen, seen.state);
}

async function seenNow(
  connection: Connection,
  {oid, byBlock, tracked}: TableNow,
  before: Seen | undefined,
): Promise<Seen | undefined> {
  const snapshot =
    tracked === undefined
      ? await connection.value('SELECT pg_current_snapshot()')
      : // The snapshot of the mark, which is older than that of the backup: the mark vouches for what it sees only.
        (await markRow(connection, {...tracked, oid}))?.snapshot;
  if (snapshot === undefined) return undefined;
  const state = await textState(connection, oid, {byBlock, history: tracked === undefined ? 'server' : 'tracking'});
  return state === undefined ? undefined : {state, xmin: snapshot.split(':')[0]!, unread: before?.unread ?? 0};
}

async function xminBefore(
  connection: Connection,
  before: Seen | undefined,
  state: string,
): Promise<string | undefined> {
  if (before?.state !== state || before.unread >= mostUnread) return undefined;
  const now = BigInt((await connection.value('SELECT pg_snapshot_xmax(pg_current_snapshot())'))!);
  const then = BigInt(before.xmin);
  return then <= now && now - then < mostTransactions ? before.xmin : undefined;
}
