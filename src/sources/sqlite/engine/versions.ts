import type {Connection} from './connection.ts';

/** The version of SQLite that bkp runs, 3053004 for 3.53.4. */
export function ownVersion(connection: Connection): number {
  const [major = 0, minor = 0, patch = 0] = String(connection.value('SELECT sqlite_version()')).split('.').map(Number);
  return major * 1_000_000 + minor * 1000 + patch;
}

/** 3053004 → 3.53.4 */
export const versionText = (version: number) =>
  `${Math.floor(version / 1_000_000)}.${Math.floor(version / 1000) % 1000}.${version % 1000}`;

/** @param written versions that have written a database; 0 for one that is not known */
export function otherVersion(connection: Connection, written: readonly number[]): number | undefined {
  const own = ownVersion(connection);
  return written.find((version) => version !== own && version !== 0);
}
