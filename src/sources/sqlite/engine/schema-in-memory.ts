import type {Connection} from './connection.ts';

/** Of SQLite's cache: room for the schema table of some 100,000 objects. It takes what it uses. */
const cacheKib = 64 * 1024;

/**
 * For creating or dropping many objects: SQLite reads its whole schema table for each one. With its usual cache of
 * 2 MiB it also takes the pages from the file each time.
 */
export function withSchemaInMemory<T>(connection: Connection, body: () => T): T {
  const before = connection.number('PRAGMA main.cache_size');
  connection.exec(`PRAGMA main.cache_size = -${cacheKib}`);
  try {
    return body();
  } finally {
    connection.exec(`PRAGMA main.cache_size = ${before}`);
  }
}
