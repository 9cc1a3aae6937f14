import {join} from 'node:path';
import {readControlFile} from './bytes.ts';
import {columnFiles, dataBytes, placesBytes} from './lengths.ts';
import {inTurns, type Listing, listFile, listFolder, missingFile, withFile} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';
import type {Column} from './meta.ts';
import {partitionFolder} from './partition-name.ts';
import type {TableState} from './table.ts';
import {neededSegments} from './transaction-log.ts';
import type {Partition} from './txn.ts';

/** An index's values are numbers of rows. */
const rowIdBytes = 8;

/**
 * What of a table's own folder belongs to the moment: the columns of the partitions that `_txn` names, the texts of symbols,
 * the sequencer's files, and the WAL segments of transactions that are committed but not yet in the table.
 * Not: the other files in the table's folder, which the checkpoint has copies of or the server makes again.
 * @throws BkpError `SOURCE_DAMAGED` naming the table when one of them is missing
 */
export async function listTable(listing: Listing, table: TableState): Promise<ListedFile[]> {
  const parts = [
    ...table.txn.partitions
      .filter(({rows}) => rows > 0)
      .map((partition) => () => listPartition(listing, table, partition)),
    () => listFolderMark(listing, table),
    () => listSymbols(listing, table),
    () => listLog(listing, table),
  ];
  const files: ListedFile[] = [];
  // Partition after partition: a table may have tens of thousands of them.
  for (const part of parts) files.push(...(await part()));
  return files;
}

/** The server recovers a table only into a folder that is there, and a table without rows may have nothing else in it. */
async function listFolderMark(listing: Listing, {folder, name}: TableState): Promise<ListedFile[]> {
  for (const file of ['_name', '_meta']) {
    const found = await listFile(listing, {path: `db/${folder}/${file}`, table: name});
    if (found !== undefined) return [found];
  }
  throw missingFile(`db/${folder}`, name);
}

async function listPartition(listing: Listing, table: TableState, partition: Partition): Promise<ListedFile[]> {
  const folder = `db/${table.folder}/${partitionFolder(table.meta, partition)}`;
  if (partition.parquetBytes !== undefined) return [await listParquet(listing, table, folder, partition.parquetBytes)];
  return inTurns(table.meta.columns, (column) => listColumn(listing, table, {folder, partition, column}));
}

/** Newer versions keep flags in the number's high bits: then it is no length, and the whole file is taken. */
async function listParquet(listing: Listing, table: TableState, folder: string, bytes: number): Promise<ListedFile> {
  const wanted = {path: `${folder}/data.parquet`, table: table.name};
  const whole = await listFile(listing, wanted);
  if (whole === undefined) throw missingFile(wanted.path, table.name);
  const isLength = bytes > 0 && bytes <= whole.sizeBytes + whole.zeroTailBytes;
  return isLength ? ((await listFile(listing, {...wanted, validBytes: bytes})) ?? whole) : whole;
}

async function listColumn(
  listing: Listing,
  {name: table, columns}: TableState,
  {folder, partition, column}: {folder: string; partition: Partition; column: Column},
): Promise<ListedFile[]> {
  const place = columns.place(partition.timestamp, column.index);
  if (place === undefined) return [];
  const rows = partition.rows - place.top;
  const suffix = place.nameTxn === -1n ? '' : `.${place.nameTxn}`;
  const file = (ending: string) => ({path: `${folder}/${column.name}.${ending}${suffix}`, table});
  const need = async (ending: string, facts: {validBytes?: number; numberBytes?: number} = {}) => {
    const wanted = file(ending);
    const found = await listFile(listing, {...wanted, ...facts});
    if (found === undefined) throw missingFile(wanted.path, table);
    return found;
  };
  const {shape} = column;
  if (rows <= 0) {
    // The column was added after the last row: its files may not have been made yet.
    const found = await Promise.all(columnFiles(shape).map((ending) => listFile(listing, file(ending))));
    return found.filter((present) => present !== undefined);
  }
  switch (shape.kind) {
    case 'fixed': {
      const data = await need('d', {validBytes: rows * shape.widthBytes, numberBytes: shape.widthBytes});
      // Keys before values: what the keys tell of is then in the values that are read after them.
      return column.isIndexed ? [data, await need('k'), await need('v', {numberBytes: rowIdBytes})] : [data];
    }
    case 'unknown':
      return [await need('d'), ...(await listFile(listing, file('i')).then((found) => (found ? [found] : [])))];
    default: {
      const places = await need('i', {
        validBytes: placesBytes(shape.kind, rows),
        numberBytes: placesBytes(shape.kind, 1),
      });
      const bytes = await withFile(listing, file('i'), (handle) => dataBytes(handle, shape.kind, rows));
      if (bytes === undefined) throw missingFile(file('i').path, table);
      return [await need('d', {validBytes: bytes}), places];
    }
  }
}

/** `.k` and `.v` of these the server makes again; but version 8 does so only where they are. */
async function listSymbols(listing: Listing, table: TableState): Promise<ListedFile[]> {
  // A view has columns and no files.
  if (table.meta.partitionBy === 'NOT_APPLICABLE') return [];
  const symbols = table.meta.columns.filter(({isSymbol}) => isSymbol);
  return inTurns(symbols, async (column) => {
    const nameTxn = table.columns.symbolsNameTxn(column.index);
    const suffix = nameTxn === -1n ? '' : `.${nameTxn}`;
    const listed = ['c', 'o', 'k', 'v'].map(async (ending) => {
      const path = `db/${table.folder}/${column.name}.${ending}${suffix}`;
      const found = await listFile(listing, {path, table: table.name});
      if (found === undefined && (ending === 'c' || ending === 'o')) throw missingFile(path, table.name);
      return found === undefined ? [] : [found];
    });
    return (await Promise.all(listed)).flat();
  });
}

async function listLog(listing: Listing, table: TableState): Promise<ListedFile[]> {
  if (table.lastTxn === undefined) return [];
  const folder = `db/${table.folder}`;
  const logPath = `${folder}/txn_seq/_txnlog`;
  const log = await readControlFile(join(listing.root, logPath));
  // A view has none: its definition is all there is.
  const range = {after: table.txn.sequencerTxn, last: table.lastTxn};
  if (log === undefined && range.last > range.after) throw missingFile(logPath, table.name);
  const segments = log === undefined ? new Set<string>() : neededSegments(log, range);
  const sequencer = await listTree(listing, table, `${folder}/txn_seq`);
  if (segments === undefined) return [...sequencer, ...(await listAllSegments(listing, table))];
  const files = [...sequencer];
  for (const segment of segments) {
    const found = await listTree(listing, table, `${folder}/${segment}`);
    if (!found.some(({path}) => path.endsWith('/_event'))) throw missingFile(`${folder}/${segment}`, table.name);
    files.push(...found);
  }
  // A writer's texts of symbols lie beside its segments.
  for (const writer of new Set([...segments].map((segment) => segment.split('/')[0]!))) {
    files.push(...(await listFolder(listing, `${folder}/${writer}`, table.name)).files);
  }
  return files;
}

/**
 * All of a table of a stopped server: its own control files are the moment's, and nothing is made again when it starts.
 * @throws BkpError `SOURCE_DAMAGED` naming the table when a file of its rows is missing
 */
export async function listWholeTable(listing: Listing, table: TableState): Promise<ListedFile[]> {
  const {files, folders} = await listFolder(listing, `db/${table.folder}`, table.name);
  const found = new Map(files.map((file) => [file.path, file]));
  for (const file of await listTable(listing, table)) found.set(file.path, file);
  for (const folder of folders.filter((path) => /\/(txn_seq|wal\d+)$/.test(path))) {
    for (const file of await listTree(listing, table, folder)) found.set(file.path, file);
  }
  return [...found.values()];
}

async function listAllSegments(listing: Listing, table: TableState): Promise<ListedFile[]> {
  const {folders} = await listFolder(listing, `db/${table.folder}`, table.name, () => false);
  const writers = folders.filter((folder) => /\/wal\d+$/.test(folder));
  return (await Promise.all(writers.map((folder) => listTree(listing, table, folder)))).flat();
}

async function listTree(listing: Listing, table: TableState, folder: string): Promise<ListedFile[]> {
  const {files, folders} = await listFolder(listing, folder, table.name);
  for (const inner of folders) files.push(...(await listTree(listing, table, inner)));
  return files;
}
