import {setTimeout as delay} from 'node:timers/promises';
import {BkpError} from '../../../errors/index.ts';
import {type QueryEnd, tookTooLong} from '../../../lib/query-end.ts';
import type {SqlValue} from '../../restored-database.ts';
import type {QuestDbHttp} from './http.ts';

/** A count that takes longer than a day is not waited for. */
const countSeconds = 24 * 60 * 60;
/** The transactions that a server applies after its start are those of some seconds before the backup. */
const appliedWithinMs = 60 * 60 * 1000;
const pollMs = 100;

/** Waits until the server has applied all transactions. @returns a sentence for each table that it suspends */
export async function applied(http: QuestDbHttp, signal: AbortSignal): Promise<readonly string[]> {
  for (let waitedMs = 0; waitedMs < appliedWithinMs; waitedMs += pollMs) {
    const tables = await http.rows('SELECT name, suspended, writerTxn, sequencerTxn FROM wal_tables()');
    const pending = tables.filter(({suspended, writerTxn, sequencerTxn}) => !suspended && writerTxn !== sequencerTxn);
    if (pending.length === 0) {
      return tables
        .filter(({suspended}) => suspended === true)
        .map(({name}) => `the server suspends table ${name}: it cannot apply its transactions`);
    }
    await delay(pollMs, undefined, {signal});
  }
  throw new BkpError('SOURCE_UNAVAILABLE', `the server does not apply its transactions within an hour`, {
    next: 'start a server on the restored root by hand, and look at wal_tables()',
  });
}

/** @returns why it cannot be counted, as the end of a sentence */
export async function countRows(http: QuestDbHttp, table: string): Promise<number | {error: string}> {
  const end = {seconds: countSeconds, signal: new AbortController().signal};
  const found = await firstValue(http, `SELECT count() AS n FROM "${table.replaceAll('"', '""')}"`, end);
  if (found.error !== undefined) return {error: found.error};
  return typeof found.value === 'number' ? found.value : {error: `a count of ${found.value}`};
}

/** The first value of the only row. */
export async function firstValue(http: QuestDbHttp, sql: string, {seconds, signal}: QueryEnd): Promise<SqlValue> {
  const late = AbortSignal.timeout(seconds * 1000);
  const ends = AbortSignal.any([late, signal]);
  const result = await http.ask(sql, 2 * seconds * 1000, {rows: 2, signal: ends}).catch((error: unknown) => {
    signal.throwIfAborted();
    if (late.aborted) return {late: true} as const;
    throw error;
  });
  if ('late' in result) return {error: tookTooLong(seconds)};
  if ('refusal' in result) return {error: `an error: ${result.refusal}`};
  const [row, ...more] = result.rows;
  if (row === undefined) return {error: 'no row'};
  return more.length > 0 ? {error: 'more than one row'} : {value: Object.values(row)[0]};
}
