import {readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {isAbsent, unreadable} from '../format/bytes.ts';
import type {TableState} from '../format/table.ts';
import type {QuestDbHttp} from '../server/http.ts';
import {Turns} from './turns.ts';

/** A notice names at most this many partitions or tables. */
const mostNamed = 5;

/**
 * What the folders of the tables have that a backup does not contain, as sentences: detached partitions, which belong
 * to no table, and conversions that wait for the next start, which only the backup of a stopped server has.
 * @param options.isLive the server is running
 * @throws BkpError `SOURCE_UNAVAILABLE`
 */
export async function leftOut(
  db: string,
  tables: readonly TableState[],
  {isLive}: {isLive: boolean},
): Promise<readonly string[]> {
  const detached: string[] = [];
  const converting: string[] = [];
  const turns = new Turns();
  for (const {folder, name} of tables) {
    for (const entry of await namesIn(join(db, folder))) {
      const partition = /^(.+)\.(detached|attachable)$/.exec(entry)?.[1];
      if (partition !== undefined) detached.push(`${partition} of ${name}`);
      if (isLive && entry === '_convert') converting.push(name);
    }
    await turns.next();
  }
  return [
    ...(detached.length === 0 ? [] : [`detached partitions are not in the backup: ${listed(detached)}`]),
    ...converting.map((name) => `SET TYPE of table ${name} waits for a restart: it is not in the backup`),
  ];
}

/**
 * Tables that a server has suspended: it takes their new transactions and applies none. A backup has both, but the rows
 * that wait are in no count, and may stay unnoticed.
 */
export async function suspendedTables(http: QuestDbHttp): Promise<readonly string[]> {
  const answer = await http.ask('SELECT name, suspended FROM wal_tables()');
  const rows = 'rows' in answer ? answer.rows : [];
  const names = rows.filter(({suspended}) => suspended === true).map(({name}) => String(name));
  if (names.length === 0) return [];
  const resume = `ALTER TABLE '${names[0]!.replaceAll("'", "''")}' RESUME WAL`;
  return [
    `suspended: ${listed(names)}: the transactions that wait are in the backup, and a server that starts on a ` +
      `restored copy tries them again; ${resume} tries them now`,
  ];
}

const listed = (names: readonly string[]) =>
  names.length <= mostNamed
    ? names.join(', ')
    : `${names.slice(0, mostNamed).join(', ')} and ${names.length - mostNamed} more`;

async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    // What must be there is found by whoever lists the files.
    if (isAbsent(error)) return [];
    throw unreadable(error, path);
  }
}
