import {readdir, stat} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {readTransactionLog} from '../format/transaction-log.ts';
import type {QuestDbHttp, Row} from './http.ts';

/**
 * Checks without a checkpoint whether a root belongs to the server. Only the negative result is certain: a copy of a
 * root cannot be distinguished from the root itself until one of the two is written to. It sends at most
 * five requests, however many tables there are.
 * @returns why the root does not belong to the server; undefined when nothing contradicts it
 */
export async function whyNotOwnRoot(http: QuestDbHttp, root: string): Promise<string | undefined> {
  const own = await pathOfOwnRoot(http);
  if (own !== undefined && (await isOther(own, root))) return `the server's own root is ${own}`;
  const tables = await http.rows(listTables);
  const lacking = await absentIn(root, tables);
  // Asked again, once for all of them, because they may have been dropped or created a moment ago.
  const still = lacking.length === 0 ? [] : await absentIn(root, await http.rows(listTables));
  const [stranger] = still.filter((table) => lacking.some(({directoryName}) => directoryName === table.directoryName));
  if (stranger !== undefined) {
    return `the server has a table ${stranger.name}, and the root has no db/${stranger.directoryName}`;
  }
  return whyOtherTransactions(http, root, new Map(tables.map((table) => [table.name, String(table.directoryName)])));
}

const listTables = 'SELECT directoryName, table_name AS name FROM tables()';

async function absentIn(root: string, tables: readonly Row[]): Promise<readonly Row[]> {
  const db = join(root, 'db');
  const names = await readdir(db).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw unreadable(error, db);
  });
  const folders = new Set(names);
  return tables.filter(({directoryName}) => !folders.has(String(directoryName)));
}

/** The sequencer only counts upwards, so the server's number is between those of two reads of the root's log. */
async function whyOtherTransactions(
  http: QuestDbHttp,
  root: string,
  folders: ReadonlyMap<unknown, string>,
): Promise<string | undefined> {
  const lastOf = (name: unknown) => {
    try {
      return readTransactionLog(join(root, 'db', folders.get(name) ?? '', 'txn_seq'))?.last;
    } catch {
      // A backup reports what is wrong with it.
      return undefined;
    }
  };
  const before = new Map([...folders.keys()].map((name) => [name, lastOf(name)]));
  const tables = await http.rows('SELECT name, sequencerTxn FROM wal_tables()');
  for (const {name, sequencerTxn} of tables) {
    const least = before.get(name);
    if (least === undefined || typeof sequencerTxn !== 'number') continue;
    const most = lastOf(name) ?? least;
    if (sequencerTxn < least || sequencerTxn > most) {
      return `table ${name} has ${sequencerTxn} transactions in the server, and ${most} in the root`;
    }
  }
  return undefined;
}

/**
 * The server's root, as the server names it; in a container that differs from the path outside. Only the default
 * value of one setting contains it, so it is undefined when that setting is changed.
 */
export async function pathOfOwnRoot(http: QuestDbHttp): Promise<string | undefined> {
  const [row] = await http.rows("(SHOW PARAMETERS) WHERE property_path = 'cairo.sql.copy.work.root'").catch(() => []);
  const isDefault = row?.value_source === undefined || row.value_source === 'default';
  return isDefault && typeof row?.value === 'string' && row.value !== '' ? dirname(row.value) : undefined;
}

async function isOther(own: string, root: string): Promise<boolean> {
  const [one, other] = await Promise.all([own, root].map((path) => stat(join(path, 'db')).catch(() => undefined)));
  return one !== undefined && other !== undefined && (one.ino !== other.ino || one.dev !== other.dev);
}
