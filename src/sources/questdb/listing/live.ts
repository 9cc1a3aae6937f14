import {readdir, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {microsText} from '../../../lib/time.ts';
import type {FreezeOptions} from '../../file-source.ts';
import {isAbsent, readControlFile, unreadable} from '../format/bytes.ts';
import {readTable, readView, type TableState} from '../format/table.ts';
import {Checkpoint} from '../server/checkpoint.ts';
import type {Processes} from '../server/holder.ts';
import {type QuestDbHttp, serverVersion} from '../server/http.ts';
import {pathOfOwnRoot} from '../server/own-root.ts';
import {forgottenTables} from './forgotten-tables.ts';
import {KeptRows, leastSplitBytes} from './kept-rows.ts';
import {LeftOut, suspendedTables} from './left-out.ts';
import {type Listing, listFolder, missingFile} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';
import {Moment} from './moment.ts';
import {databaseFacts, listBeside} from './root-files.ts';
import {bootId, recordsMappedWrites, settled, settleMicros, stamper, tickMicros} from './stamp.ts';
import {listTable} from './table-files.ts';
import {Turns} from './turns.ts';

/** Where the server writes the files of a checkpoint. */
export const checkpointFolder = '.checkpoint/db';

/** Freezes the database of a running server with a checkpoint. If this throws, no checkpoint stays held. */
export async function freezeLive(
  http: QuestDbHttp,
  root: string,
  {hold, signal, notice}: FreezeOptions,
  processes: Processes | undefined,
): Promise<Moment> {
  signal.throwIfAborted();
  const version = await serverVersion(http);
  const certain = await recordsMappedWrites(join(root, 'db'));
  const checkpoint = await Checkpoint.create(http, root, {hold, notice, processes});
  try {
    signal.throwIfAborted();
    const writtenMicros = await requireOwnRoot(http, root, checkpoint);
    const tables = await readCheckpointTables(root);
    const db = join(root, 'db');
    const forgotten = await forgottenTables(http, db, tables);
    const leftOut = new LeftOut();
    for (const text of await suspendedTables(http)) notice(text);
    if (!certain) notice('the file system of the root does not record all changes: every backup reads every file');
    const {startedAtMicros} = checkpoint;
    const listing: Listing = {
      root,
      isLive: true,
      stamp: stamper(startedAtMicros, {boot: bootId(), certain, isLive: true}),
      isSettled: settled(startedAtMicros),
      leftOut,
    };
    const kept = new KeptRows(listing, tables, {leastSplitBytes: await leastSplitBytes(http), recordsWrites: certain});
    return new Moment({
      root,
      takenAtMicros: momentOf(checkpoint, certain ? writtenMicros : undefined),
      facts: databaseFacts(version, tables),
      leftOut: () => [...forgotten, ...leftOut.sentences()],
      list: () => listMoment(listing, tables, kept),
      confirm: async () => {
        await kept.require();
        await checkpoint.confirm();
      },
      release: () => checkpoint.release(),
    });
  } catch (error) {
    await checkpoint.release();
    throw error;
  }
}

async function listMoment(listing: Listing, tables: readonly TableState[], kept: KeptRows): Promise<ListedFile[]> {
  const files = [
    ...(await listCheckpoint(listing, tables)),
    ...listBeside(listing, (name) => !name.startsWith('tables.d.')),
  ];
  const turns = new Turns();
  for (const table of tables) {
    for (const file of await listTable(listing, table)) {
      files.push({...file, check: file.check ?? (() => kept.wasRead(file.path))});
    }
    await turns.next();
  }
  return files;
}

async function listCheckpoint(listing: Listing, tables: readonly TableState[]): Promise<ListedFile[]> {
  const {files} = listFolder(listing, checkpointFolder);
  const turns = new Turns();
  for (const {folder, name} of tables) {
    files.push(...listFolder(listing, `${checkpointFolder}/${folder}`, name).files);
    files.push(...listFolder(listing, `${checkpointFolder}/${folder}/txn_seq`, name).files);
    await turns.next();
  }
  return files;
}

/** The tables of the checkpoint in a root. @throws BkpError `SOURCE_DAMAGED` */
export async function readCheckpointTables(root: string): Promise<TableState[]> {
  const checkpoint = join(root, checkpointFolder);
  const folders = (await readdir(checkpoint, {withFileTypes: true})).filter((entry) => entry.isDirectory());
  const tables: TableState[] = [];
  const turns = new Turns();
  for (const {name} of folders) {
    tables.push(readFrozenTable(root, name));
    await turns.next();
  }
  return tables;
}

function readFrozenTable(root: string, folder: string): TableState {
  const checkpoint = join(root, checkpointFolder);
  const table =
    readTable(join(checkpoint, folder), folder) ?? readView(join(checkpoint, folder), join(root, 'db'), folder);
  if (table === undefined) throw missingFile(`${checkpointFolder}/${folder}/_txn`, folder);
  const sequencer = readControlFile(join(checkpoint, folder, 'txn_seq/_txn'));
  return {...table, lastTxn: sequencer?.count(0)};
}

/**
 * The root belongs to the server if the checkpoint appears in it, written while the server created it: another root
 * may have the checkpoint of its own server, or a copy of one. Paths do not show it, because they differ inside a
 * container.
 * @returns when the last file of the checkpoint was written, by the clock of the file system
 * @throws BkpError `SOURCE_UNAVAILABLE`
 */
async function requireOwnRoot(
  http: QuestDbHttp,
  root: string,
  {startedAtMicros, createdByMicros}: Checkpoint,
): Promise<number> {
  const path = join(root, checkpointFolder, '_checkpoint_meta.d');
  const found = await stat(path, {bigint: true}).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path);
  });
  if (found !== undefined) {
    const writtenMicros = Number(found.mtimeNs / 1000n);
    const isNew = writtenMicros >= startedAtMicros - settleMicros && writtenMicros <= createdByMicros + settleMicros;
    if (isNew) return writtenMicros;
  }
  const seen =
    found === undefined
      ? `the checkpoint that it created did not appear in ${join(root, checkpointFolder)}`
      : `the checkpoint in ${join(root, checkpointFolder)} is of ${microsText(Number(found.mtimeNs / 1000n))}, and ` +
        `the server created one from ${microsText(startedAtMicros)} to ${microsText(createdByMicros)}`;
  throw new BkpError('SOURCE_UNAVAILABLE', `${root} is not the root of the QuestDB at ${http.url}`, {
    cause: `${await ownRoot(http)}; ${seen}`,
    next: 'set root= of the source to the folder that contains its conf and db',
  });
}

/**
 * The server copies the control files of one table after the other, then writes one more file, then syncs the machine,
 * which may take long. Its clock is the kernel's, which is at most a tick ahead of the times of files.
 * @param writtenMicros when that file was written; absent: the file system may have another clock
 * @returns a time after which nothing that was committed is in the checkpoint
 */
function momentOf({createdByMicros}: Checkpoint, writtenMicros: number | undefined): number {
  return writtenMicros === undefined ? createdByMicros : Math.min(createdByMicros, writtenMicros + tickMicros);
}

/** The server's own root, as a sentence. */
async function ownRoot(http: QuestDbHttp): Promise<string> {
  const folder = await pathOfOwnRoot(http);
  return folder === undefined
    ? 'the server does not report its own root'
    : `the server's own root seems to be ${folder}`;
}
