import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../engine/connection.ts';

/** Messages of SQLite's check about rows that the schema would refuse today; every other message is damage. */
const refusesRows = /^(?:(?:NULL|NUMERIC|TEXT|non-\w+) value in|CHECK constraint failed in|non-unique entry in index) /;
/** The check reports damaged pages before anything about rows, so a limit hides no damage. */
const mostMessages = 1000;

/** @throws BkpError `SOURCE_DAMAGED` when pages, rows or indexes are damaged */
export function checkRestored(connection: Connection, check: 'quick' | 'full', notice: (text: string) => void): void {
  const pragma = check === 'full' ? 'integrity_check' : 'quick_check';
  const messages = connection
    .all(`PRAGMA main.${pragma}(${mostMessages})`)
    .map((row) => String(Object.values(row)[0]))
    .filter((message) => message !== 'ok');
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
