import type {Connection} from '../engine/connection.ts';

/** @param check one of SQLite's two checks, `quick_check(10)` @returns its messages; none when all is well */
export function findings(connection: Connection, check: string): readonly string[] {
  return connection
    .all(`PRAGMA main.${check}`)
    .map((row) => String(Object.values(row)[0]))
    .filter((message) => message !== 'ok');
}
