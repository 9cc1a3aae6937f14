import {statSync} from 'node:fs';
import {BkpError} from '../../../errors/index.ts';
import {quoteName} from '../engine/quote.ts';
import {checkOnThreads} from './check-threads.ts';
import {findings} from './findings.ts';
import type {StagingFile} from './staging-file.ts';

/** Messages of SQLite's check about rows that the schema would refuse today; every other message is damage. */
const refusesRows = /^(?:(?:NULL|NUMERIC|TEXT|non-\w+) value in|CHECK constraint failed in|non-unique entry in index) /;
/** The check reports damaged pages before anything about rows, so a limit hides no damage. */
const mostMessages = 1000;
/** Starting threads takes as long as checking this much on one. */
const checkedHereBytes = 64 * 1024 * 1024;

export type RestoredCheck = {
  check: 'quick' | 'full';
  /** The restored tables with the approximate sizes of their rows. */
  sizes: ReadonlyMap<string, number>;
  signal?: AbortSignal | undefined;
  notice: (text: string) => void;
  /** Smaller files are checked on this thread. Default 64 MiB. */
  threadsFromBytes?: number;
};

/**
 * Runs the requested check. `full` checks the whole file, and so does `quick` where it is small; `quick` checks larger
 * files table by table, and closes the file's connection for that.
 * @returns the rows of each table
 * @throws BkpError `SOURCE_DAMAGED` when pages, rows or indexes are damaged
 */
export async function checkRestored(file: StagingFile, options: RestoredCheck): Promise<ReadonlyMap<string, number>> {
  const {check, sizes, signal, notice, threadsFromBytes = checkedHereBytes} = options;
  const pragma = check === 'full' ? 'integrity_check' : 'quick_check';
  if (check === 'full' || statSync(file.path).size < threadsFromBytes) {
    judge(pragma, findings(file.connection, `${pragma}(${mostMessages})`), notice);
    return countRows(file, [...sizes.keys()], signal);
  }
  const all = file.connection.all(`SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0`);
  const tables = ['sqlite_schema', ...all.map(({name}) => String(name))];
  file.close();
  const size = (table: string) => sizes.get(table) ?? 0;
  const {findings: found, rows} = await checkOnThreads(
    file.path,
    tables.sort((one, other) => size(other) - size(one)),
    signal,
  );
  judge(pragma, found, notice);
  return rows;
}

async function countRows(
  file: StagingFile,
  tables: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> {
  const rows = new Map<string, number>();
  for (const table of tables) {
    await new Promise(setImmediate);
    signal?.throwIfAborted();
    rows.set(table, file.connection.number(`SELECT count(*) FROM main.${quoteName(table)}`));
  }
  return rows;
}

function judge(pragma: string, messages: readonly string[], notice: (text: string) => void): void {
  const faults = messages.filter((message) => !refusesRows.test(message));
  if (faults.length > 0) {
    throw new BkpError('SOURCE_DAMAGED', `the restored tables do not pass SQLite's ${pragma}; nothing was published`, {
      details: faults.slice(0, 20),
      next: 'the source was probably damaged when this backup was taken: restore an earlier one',
    });
  }
  for (const message of new Set(messages))
    notice(`rows came back unchanged, and violate their table's own schema: ${message}`);
}
