import {setTimeout as delay} from 'node:timers/promises';
import {BkpError} from '../../../errors/index.ts';
import type {SqlValue} from '../../restored-database.ts';
import type {QuestDbHttp} from './http.ts';

/** A query that runs longer than a day is no check. */
const queryMs = 24 * 60 * 60 * 1000;
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
  const found = await firstValue(http, `SELECT count() AS n FROM "${table.replaceAll('"', '""')}"`);
  if (found.error !== undefined) return {error: found.error};
  return typeof found.value === 'number' ? found.value : {error: `a count of ${found.value}`};
}

/** The first value of the only row. */
export async function firstValue(http: QuestDbHttp, sql: string): Promise<SqlValue> {
  const result = await http.ask(sql, queryMs, {rows: 2});
  if ('refusal' in result) return {error: `an error: ${result.refusal}`};
  const [row, ...more] = result.rows;
  if (row === undefined) return {error: 'no row'};
  return more.length > 0 ? {error: 'more than one row'} : {value: Object.values(row)[0]};
}
