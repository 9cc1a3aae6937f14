import {existsSync} from 'node:fs';
import {readdir, readFile, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {readRegistry} from '../format/registry.ts';
import {readTable, readView, type TableState} from '../format/table.ts';
import type {QuestDbHttp} from '../server/http.ts';
import {LeftOut} from './left-out.ts';
import type {Listing} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';
import {isUnused, lostTables} from './lost-tables.ts';
import {Moment} from './moment.ts';
import {databaseFacts, listBeside, restoreTrigger} from './root-files.ts';
import {bootId, recordsMappedWrites, stamper} from './stamp.ts';
import {listWholeTable} from './table-files.ts';
import {lastTransaction} from './wal-files.ts';

/**
 * The database of a stopped server, as it is on the disk.
 * @param http checks that no server answers there; absent when no address is known
 * @throws BkpError `PRECONDITION` when a server is running, or has to recover the database first | `SOURCE_DAMAGED`,
 * `SOURCE_UNAVAILABLE` naming a table that cannot be read
 */
export async function freezeStopped(
  root: string,
  http: QuestDbHttp | undefined,
  nowMicros: () => number,
): Promise<Moment> {
  const db = join(root, 'db');
  await requireStopped(root, http);
  const takenAtMicros = Math.floor(nowMicros());
  requireRecovered(root);
  const tables = await readStoppedTables(db);
  await requireAllTables(db, tables);
  const certain = await recordsMappedWrites(db);
  const stamp = stamper(takenAtMicros, {boot: bootId(), certain, isLive: false});
  const leftOut = new LeftOut();
  const listing: Listing = {root, isLive: false, stamp, isSettled: () => true, leftOut};
  const before = await controlTimes(db, tables);
  return new Moment({
    root,
    takenAtMicros,
    facts: databaseFacts('unknown', tables),
    leftOut: () => leftOut.sentences(),
    list: () => listAll(listing, tables),
    confirm: async () => {
      await requireStopped(root, http);
      if ((await controlTimes(db, tables)) !== before) throw startedMeanwhile();
    },
    release: async () => undefined,
  });
}

async function listAll(listing: Listing, tables: readonly TableState[]): Promise<ListedFile[]> {
  const files = listBeside(listing, () => true);
  for (const table of tables) files.push(...(await listWholeTable(listing, table)));
  return files;
}

/** The tables of a root without a checkpoint. @throws BkpError `SOURCE_DAMAGED` */
export async function readStoppedTables(db: string): Promise<TableState[]> {
  const {dropped} = await readRegistry(db);
  const entries = await readdir(db, {withFileTypes: true});
  const tables: TableState[] = [];
  for (const {name: folder} of entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink())) {
    if (dropped.has(folder)) continue;
    const table = readTable(join(db, folder), folder) ?? readView(join(db, folder), db, folder);
    if (table === undefined) continue;
    tables.push({...table, lastTxn: lastTransaction(join(db, folder))});
  }
  return tables;
}

/** Changes when a server is started on the root: it opens these files for writing. */
async function controlTimes(db: string, tables: readonly TableState[]): Promise<string> {
  const paths = ['tables.d.lock', ...tables.flatMap(({folder}) => [`${folder}/_txn`, `${folder}/txn_seq/_txnlog`])];
  const times = paths.map(async (path) => {
    const found = await stat(join(db, path), {bigint: true}).catch(() => undefined);
    return `${found?.mtimeNs}`;
  });
  return (await Promise.all(times)).join(' ');
}

/** The control files of such a root are in its checkpoint only: `db` has no table yet. */
function requireRecovered(root: string): void {
  if (!existsSync(join(root, restoreTrigger))) return;
  throw new BkpError('PRECONDITION', `a server must recover the database in ${root} before it can be backed up`, {
    cause: `it has a file ${restoreTrigger}: it was restored, and no server was started on it yet`,
    next: 'start the server once, and stop it again',
  });
}

async function requireAllTables(db: string, tables: readonly TableState[]): Promise<void> {
  const [lost] = await lostTables(db, tables);
  if (lost !== undefined) throw lost;
  if (tables.length > 0 || !(await isUnused(db))) return;
  throw new BkpError('PRECONDITION', `${db} contains no database: no server was ever started on it`, {
    next: 'check root= of the source, and that its disk is mounted',
  });
}

async function requireStopped(root: string, http: QuestDbHttp | undefined): Promise<void> {
  const holder = await lockHolder(join(root, 'db/tables.d.lock'));
  const isAnswering =
    http !== undefined &&
    (await http.ask('SELECT 1').then(
      () => true,
      () => false,
    ));
  if (holder === undefined && !isAnswering) return;
  throw new BkpError('PRECONDITION', `the source has offline=true, but a QuestDB server is running on ${root}`, {
    cause: holder === undefined ? `it answers at ${http?.url}` : `process ${holder} holds db/tables.d.lock`,
    next: 'stop the server, or remove offline=true from the source to back up the running server',
  });
}

/**
 * A running server holds an advisory lock on this file; /proc/locks lists such locks by inode.
 * @returns the pid of the server; undefined when no process holds the lock, and on systems other than Linux
 */
async function lockHolder(path: string): Promise<string | undefined> {
  const found = await stat(path, {bigint: true}).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path);
  });
  const locks = await readFile('/proc/locks', 'utf8').catch(() => '');
  for (const line of locks.split('\n')) {
    const [, process, inode] = / (\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line) ?? [];
    if (found !== undefined && inode === String(found.ino)) return process;
  }
  return undefined;
}

function startedMeanwhile(): BkpError {
  return new BkpError(
    'SOURCE_UNAVAILABLE',
    'the server was started while its files were read, so the backup is not usable',
    {
      next: 'take the backup again while the server is stopped, or without offline=true',
      retryable: true,
    },
  );
}
