/** The part of a connection that this needs. */
type Connection = {
  exec: (sql: string) => void;
  number: (sql: string) => number;
  value: (sql: string) => unknown;
};

/**
 * With incremental auto_vacuum, SQLite moves the last table or index into the page of one that is dropped, and never
 * writes the page that becomes free. A transaction in WAL mode that creates and drops many of them ends with a
 * database longer than what it wrote, and from 64 KiB on SQLite calls every checkpoint of that database malformed
 * (walCheckpoint in https://www.sqlite.org/src/file/src/wal.c).
 *
 * @returns gives back the pages that became free since, inside the same transaction: the database then is no longer
 * than what was written
 */
export function watchFreePages(connection: Connection): () => void {
  const isIncremental = connection.number('PRAGMA main.auto_vacuum') === 2;
  if (!isIncremental || connection.value('PRAGMA main.journal_mode') !== 'wal') return () => {};
  const before = connection.number('PRAGMA main.freelist_count');
  return () => {
    const freed = connection.number('PRAGMA main.freelist_count') - before;
    if (freed > 0) connection.exec(`PRAGMA main.incremental_vacuum(${freed})`);
  };
}
