import type {Connection} from '../connection/connection.ts';
import {qualified, quoteText} from '../connection/quote.ts';
import type {MergedPair} from './merge-fit.ts';

type Sequence = {name: string; shown: string; last: bigint; isCalled: boolean};
type Pair = {now: Sequence; was: Sequence; increment: bigint; least: bigint; most: bigint};

/**
 * A sequence that was set back since the backup, by TRUNCATE … RESTART IDENTITY for example, would hand out values that
 * rows of the backup have: it continues where the backup left it. One that went on stays as it is.
 */
export async function advanceSequences(
  connection: Connection,
  pairs: readonly MergedPair[],
  {dryRun, notice}: {dryRun: boolean; notice: ((text: string) => void) | undefined},
): Promise<void> {
  for (const pair of pairs) {
    for (const {now, was, increment, least, most} of await sequencesOf(connection, pair)) {
      const next = ({last, isCalled}: Sequence) => (isCalled ? last + increment : last);
      const isBehind = increment > 0n ? next(now) < next(was) : next(now) > next(was);
      if (!isBehind || was.last < least || was.last > most) continue;
      notice?.(`the sequence ${now.shown} goes on with ${next(was)}, as in the backup; it was at ${next(now)}`);
      // No ROLLBACK takes it back.
      if (dryRun) continue;
      await connection.run(`SELECT setval(${quoteText(now.name)}::regclass, ${was.last}, ${was.isCalled})`);
    }
  }
}

/** Those of columns that both the living table and the staged one have. */
async function sequencesOf(connection: Connection, {oid, stagedOid}: MergedPair): Promise<readonly Pair[]> {
  const rows = await connection.rows(
    `WITH own AS (SELECT d.refobjid AS rel, a.attname, n.nspname, c.relname, q.*
      FROM pg_depend d JOIN pg_sequence q ON q.seqrelid = d.objid JOIN pg_class c ON c.oid = q.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
      WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
    SELECT now.nspname, now.relname, was.nspname, was.relname, now.seqincrement, now.seqmin, now.seqmax
    FROM own now JOIN own was ON was.attname = now.attname
    WHERE now.rel = $1 AND was.rel = $2 AND NOT now.seqcycle ORDER BY now.relname`,
    [oid, stagedOid],
  );
  const pairs: Pair[] = [];
  for (const [schema, name, stagedSchema, stagedName, increment, least, most] of rows) {
    pairs.push({
      now: await sequence(connection, schema!, name!),
      was: await sequence(connection, stagedSchema!, stagedName!),
      ...{increment: BigInt(increment!), least: BigInt(least!), most: BigInt(most!)},
    });
  }
  return pairs;
}

async function sequence(connection: Connection, schema: string, table: string): Promise<Sequence> {
  const name = qualified(schema, table);
  const [[last, isCalled] = []] = await connection.rows(`SELECT last_value, is_called FROM ${name}`);
  return {name, shown: `${schema}.${table}`, last: BigInt(last!), isCalled: isCalled === 't'};
}
