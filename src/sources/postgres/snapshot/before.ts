import type {Mark, TakeOver} from '../../source.ts';
import {textState} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import type {ReadCuts, Seen} from '../segments/ranges.ts';
import type {KnownBefore} from '../segments/table-to-read.ts';
import {markRow} from '../tracking/marks.ts';

/** After as many backups in a row that took over ranges, one reads all rows. */
const mostUnread = 9;
/** Numbers of transactions have 32 bits, half of which are older. The margin is for those of a long backup. */
const mostTransactions = 2n ** 31n - 2n ** 24n;

type History = {owner: string; mark: Mark | undefined; oid: number; byBlock: boolean};

/**
 * What is known of the time between a base and the one before: `seen` for the cuts, and from when on rows are new.
 *
 * Numbers of transactions mean the same now as then only in one history of the database. A copy of an earlier state
 * gives the same numbers to other transactions. What shows that this is not one is a mark: random, written before the
 * snapshot of its backup, confirmed after it, and known by this database. So without change tracking, everything is
 * read.
 */
export async function sinceBefore(
  connection: Connection,
  {owner, mark, oid, byBlock}: History,
  {cuts, takeOver}: {cuts: ReadCuts | undefined; takeOver: TakeOver | undefined},
): Promise<{seen: Seen | undefined; takeOver: KnownBefore | undefined}> {
  const now = mark === undefined ? undefined : await markRow(connection, {owner, mark, oid});
  const state = now && (await textState(connection, oid, {byBlock}));
  if (now === undefined || state === undefined) return {seen: undefined, takeOver: undefined};
  const before = cuts?.seen;
  // The snapshot of the mark, which is older than that of the backup: the mark vouches for what it sees only.
  const seen = {state, xmin: now.snapshot.split(':')[0]!, unread: before?.unread ?? 0};
  const isSame =
    takeOver !== undefined &&
    before?.state === state &&
    before.unread < mostUnread &&
    (await markRow(connection, {owner, mark: takeOver.mark, oid}))?.isConfirmed === true &&
    isRecent(BigInt(before.xmin), BigInt((await connection.value('SELECT pg_snapshot_xmax(pg_current_snapshot())'))!));
  return {seen, takeOver: isSame ? {xmin: before.xmin, isKept: takeOver.isKept} : undefined};
}

function isRecent(then: bigint, now: bigint): boolean {
  return then <= now && now - then < mostTransactions;
}
