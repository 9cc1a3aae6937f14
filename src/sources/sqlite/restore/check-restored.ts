import {statSync} from 'node:fs';
import {BkpError} from '../../../errors/index.ts';
import {quoteName} from '../engine/quote.ts';
import {checkOnThreads} from './check-threads.ts';
import {findings} from './findings.ts';
import type {StagingFile} from './staging-file.ts';

/** Messages of SQLite's check about rows that the schema would refuse today; every other message is damage. */
const refusesRows = /^(?:(?:NULL|NUMERIC|TEXT|non-\w+) value in|CHECK constraint failed in|non-unique entry in index) /;
/** Messages about an index that does not match its table. */
const ofIndex = /^(?:wrong # of entries in|row \d+ (?:missing from|values differ from)|.* for row \d+ of) index (.+)$/s;
/** The check reports damaged pages before anything about rows, so a limit hides no damage. */
const mostMessages = 1000;
/** Starting threads takes as long as checking this much on one. */
const checkedHereBytes = 64 * 1024 * 1024;

export type RestoredCheck = {
  check: 'quick' | 'full';
  /** The restored tables with the approximate sizes of their rows. */
  sizes: ReadonlyMap<string, number>;
  signal?: AbortSignal | undefined;
  /** Smaller files are checked on this thread. Default 64 MiB. */
  threadsFromBytes?: number;
  /** Called when threads begin to check: others may read the file as well then. */
  beside?: (() => void) | undefined;
};

export type Checked = {
  /** What the check is called. */
  pragma: string;
  faults: readonly string[];
  /** Messages about rows that are as they were in the source, and that the schema would refuse today. */
  refused: readonly string[];
  /** The rows of each table. */
  rows: ReadonlyMap<string, number>;
};

/**
 * Runs the requested check. `full` checks the whole file, and so does `quick` where it is small; `quick` checks larger
 * files table by table, and closes the file's connection for that.
 * @throws BkpError `SOURCE_DAMAGED` when SQLite cannot run it
 */
export async function checkRestored(file: StagingFile, options: RestoredCheck): Promise<Checked> {
  const {check, sizes, signal, threadsFromBytes = checkedHereBytes, beside} = options;
  const pragma = check === 'full' ? 'integrity_check' : 'quick_check';
  if (check === 'full' || statSync(file.path).size < threadsFromBytes) {
    const messages = findings(file.connection, `${pragma}(${mostMessages})`);
    return sorted(pragma, messages, await countRows(file, [...sizes.keys()], signal));
  }
  const all = file.connection.all(`SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0`);
  const tables = ['sqlite_schema', ...all.map(({name}) => String(name))];
  file.close();
  const size = (table: string) => sizes.get(table) ?? 0;
  const checking = checkOnThreads(
    file.path,
    tables.sort((one, other) => size(other) - size(one)),
    signal,
  );
  beside?.();
  const checked = await checking;
  return sorted(pragma, checked.findings, checked.rows);
}

/**
 * The names of the indexes that do not match their tables, if the check found nothing worse: then they can be built
 * from the rows. Empty otherwise.
 */
export function indexesAtFault({faults}: Checked): ReadonlySet<string> {
  const names = faults.map((fault) => ofIndex.exec(fault)?.[1]);
  return new Set(names.every((name) => name !== undefined) ? names : []);
}

/** @throws BkpError `SOURCE_DAMAGED` when pages, rows or indexes are damaged */
export function requireSound({pragma, faults, refused}: Checked, notice: (text: string) => void): void {
  if (faults.length > 0) {
    throw new BkpError('SOURCE_DAMAGED', `the restored tables do not pass SQLite's ${pragma}; nothing was published`, {
      details: faults.slice(0, 20),
      next: 'the source was probably damaged when this backup was taken: restore an earlier one',
    });
  }
  for (const message of new Set(refused))
    notice(`rows came back unchanged, and violate their table's own schema: ${message}`);
}

function sorted(pragma: string, messages: readonly string[], rows: ReadonlyMap<string, number>): Checked {
  return {
    pragma,
    faults: messages.filter((message) => !refusesRows.test(message)),
    refused: messages.filter((message) => refusesRows.test(message)),
    rows,
  };
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
