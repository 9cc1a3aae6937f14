import type {Connection} from '../engine/connection.ts';
import {quoteText} from '../engine/quote.ts';

/**
 * Attaches the staging file as `staged` for one transaction.
 *
 * In WAL mode, the checkpoint comes after the file is released. It writes as many pages again, and reuses the memory
 * that the kernel had for those of the file; new memory is several times as expensive where a host takes back what its
 * virtual machines do not use.
 * @param options.release called when the transaction has ended, and the file is not needed any more
 */
export function writeFromStaged<T>(
  connection: Connection,
  staged: string,
  {write, release}: {write: () => T; release: () => void},
): T {
  connection.exec(`ATTACH ${quoteText(staged)} AS staged`);
  connection.exec('PRAGMA wal_autocheckpoint = 0');
  const result = connection.write(write);
  connection.exec('DETACH staged');
  release();
  checkpoint(connection);
  return result;
}

/** As SQLite does after a transaction. What fails then is repeated by the next one: the WAL has everything. */
function checkpoint(connection: Connection): void {
  try {
    connection.exec('PRAGMA main.wal_checkpoint(PASSIVE)');
  } catch {}
}
