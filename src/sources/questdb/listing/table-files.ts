import type {Dirent} from 'node:fs';
import type {TableState} from '../format/table.ts';
import {blockRowsIn, emptyIndex} from './index-files.ts';
import {type Listing, listEntries, listFile, missingFile, present, readFolder} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';
import {listPartition, unknownFile} from './partition-files.ts';
import {Turns} from './turns.ts';
import {textsVersion} from './version.ts';
import {listLog, listTree} from './wal-files.ts';

/**
 * The files in a table's own folder that belong to the backup: the columns of the partitions that `_txn` names, the
 * texts of symbols, the sequencer's files, and the WAL segments of transactions that are committed but not applied
 * yet. The checkpoint has copies of the other files, or the server recreates them.
 * @param entries of the table's own folder
 * @throws BkpError `SOURCE_DAMAGED` naming the table when one of them is missing | `UNSUPPORTED` naming a file that
 * bkp does not know
 */
export async function listTable(
  listing: Listing,
  table: TableState,
  entries: readonly Dirent[] = readFolder(listing, `db/${table.folder}`, table.name),
): Promise<ListedFile[]> {
  const files = [...listFolderMark(listing, table, entries), ...listSymbols(listing, table)];
  const turns = new Turns();
  for (const partition of table.txn.partitions) {
    if (partition.rows === 0) continue;
    for (const file of await listPartition(listing, table, partition)) files.push(file);
    await turns.next();
  }
  files.push(...listLog(listing, table));
  return files;
}

/**
 * Known files of a table's folder: control files, which the checkpoint has copies of; files that the server
 * recreates; `_convert`, a request to add or remove the WAL at the next start; files of symbols in any version, of
 * which `_cv` names the valid one.
 */
const ownFile =
  /^(_(meta|txn|txn_scoreboard|cv|name|todo_|convert|mv|view)(\..*)?|.*\.lock|\.nfs.*|.*\.[cokvr](\.\d+)?)$/;
/** Known folders: partitions in any version, detached partitions, the WAL. */
const ownFolder = /^(\d{4}.*|default(\.\d+)?|.*\.(detached|attachable)|wal\d+|txn_seq|seq)$/;

/**
 * The server recovers a table only if its folder exists, and the folder of a table without rows may contain no other
 * file.
 */
function listFolderMark(listing: Listing, table: TableState, entries: readonly Dirent[]): ListedFile[] {
  const {folder, name} = table;
  const path = `db/${folder}`;
  for (const entry of entries) {
    const isFolder = entry.isDirectory() || entry.isSymbolicLink();
    if (!(isFolder ? ownFolder : ownFile).test(entry.name)) throw unknownFile(`${path}/${entry.name}`, name);
    listing.leftOut.see(entry.name, {table: name, isLive: listing.isLive});
  }
  for (const file of ['_name', '_meta']) {
    const found = listFile(listing, {path: `${path}/${file}`, table: name});
    if (found === undefined) continue;
    return [found, ...(listing.isLive ? listDefinition(listing, table) : [])];
  }
  throw missingFile(path, name);
}

/**
 * The definition and state of a materialized view, which 9.0.1 to 9.3.0 do not recover from the checkpoint; the
 * definition of a view in 9.3.0.
 */
function listDefinition(listing: Listing, {folder, name: table, isBareView}: TableState): ListedFile[] {
  const fromCheckpoint = (file: string) =>
    listFile(listing, {path: `db/${folder}/${file}`, from: `.checkpoint/db/${folder}/${file}`, table});
  if (isBareView) return present([fromCheckpoint('_view'), listFile(listing, {path: `db/${folder}/_txn`, table})]);
  return present(['_mv', '_mv.s'].map(fromCheckpoint));
}

function listSymbols(listing: Listing, table: TableState): ListedFile[] {
  // A view has columns but no files.
  if (table.meta.partitionBy === 'NOT_APPLICABLE') return [];
  const symbols = table.meta.columns.filter(({isSymbol}) => isSymbol);
  return symbols.flatMap((column, at) => {
    const nameTxn = table.columns.symbolsNameTxn(column.index);
    const suffix = nameTxn === -1n ? '' : `.${nameTxn}`;
    const file = (ending: string) => ({
      path: `db/${table.folder}/${column.name}.${ending}${suffix}`,
      table: table.name,
    });
    const version = textsVersion(listing, table, {symbol: at, of: symbols.length, offsets: file('o')});
    const texts = ['c', 'o'].map((ending) => {
      const found = listFile(listing, {...file(ending), version});
      if (found === undefined) throw missingFile(file(ending).path, table.name);
      return found;
    });
    return [...texts, ...listSymbolIndex(listing, file)];
  });
}

/**
 * `.k` and `.v` of the texts, without entries. Recovery rebuilds them from the texts, but version 8 only if they
 * exist and can be opened.
 */
function listSymbolIndex(listing: Listing, file: (ending: string) => {path: string; table: string}): ListedFile[] {
  if (!listing.isLive) return present(['k', 'v'].map((ending) => listFile(listing, file(ending))));
  const blockRows = blockRowsIn(listing, file('k'));
  if (blockRows === undefined) return [];
  return emptyIndex({keys: file('k').path, values: file('v').path, table: file('k').table}, blockRows);
}

/**
 * All files of a table of a stopped server: its control files are current, and the server rebuilds nothing when it
 * starts.
 * @throws BkpError `SOURCE_DAMAGED` naming the table when a file of its rows is missing
 */
export async function listWholeTable(listing: Listing, table: TableState): Promise<ListedFile[]> {
  const folder = `db/${table.folder}`;
  const entries = readFolder(listing, folder, table.name);
  const {files, folders} = listEntries(listing, folder, {entries, table: table.name});
  const found = new Map(files.map((file) => [file.path, file]));
  for (const file of await listTable(listing, table, entries)) found.set(file.path, file);
  for (const inner of folders.filter((path) => /\/(txn_seq|wal\d+)$/.test(path))) {
    for (const file of listTree(listing, table, inner)) found.set(file.path, file);
  }
  return [...found.values()];
}
