import {BkpError} from '../../../errors/index.ts';
import type {ColumnPlace} from '../format/column-versions.ts';
import {columnFiles, dataBytes, positionsBytes} from '../format/lengths.ts';
import type {Column} from '../format/meta.ts';
import {partitionFolder} from '../format/partition-name.ts';
import type {TableState} from '../format/table.ts';
import type {Partition} from '../format/txn.ts';
import {listIndex} from './index-files.ts';
import {type Listing, listFile, missingFile, present, readNames, withFile} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';
import {listParquetIndex} from './parquet-index.ts';
import {rowsVersion} from './version.ts';

const parquetName = 'data.parquet';
/** Files of columns, in any version; only those that `_meta`, `_cv` and `_txn` name belong to the backup. */
const columnFile = /\.[dikvr](\.\d+)?$/;
/**
 * Copies of the table's control files, which a detached partition keeps for ATTACH; `.squash_ts`, when split
 * partitions were last joined, which the server recreates; files that NFS keeps for a removed file that is still
 * open.
 */
const besideColumns = /^(_(meta|txn|cv|name)|\.squash_ts|\.nfs.*)$/;

/**
 * The files of one partition: for each column those that `_cv` names.
 * @throws BkpError `SOURCE_DAMAGED` naming the table when one is missing | `UNSUPPORTED` naming a file of an unknown
 * kind
 */
export async function listPartition(listing: Listing, table: TableState, partition: Partition): Promise<ListedFile[]> {
  const folder = `db/${table.folder}/${partitionFolder(table.meta, partition)}`;
  const names = readNames(listing, folder, table.name);
  for (const name of names) requireKnown(`${folder}/${name}`, name, table.name);
  if (partition.parquetBytes === undefined) {
    const files: ListedFile[] = [];
    for (const column of table.meta.columns) {
      files.push(...listColumn(listing, table, {folder, partition, column}));
      if (column.isIndexed) files.push(...(await listColumnIndex(listing, table, {folder, partition, column})));
    }
    return files;
  }
  const indexes = table.meta.columns
    .filter(({isIndexed}) => isIndexed)
    .flatMap((column) => listParquetIndex(listing, table, {folder, partition, column, names}));
  return [listParquet(listing, table, folder, {...partition, parquetBytes: partition.parquetBytes}), ...indexes];
}

function requireKnown(path: string, name: string, table: string): void {
  if (columnFile.test(name) || name === parquetName || besideColumns.test(name)) return;
  throw unknownFile(path, table);
}

/** A file of a newer server: bkp can neither leave it out nor copy it safely while it may be written to. */
export function unknownFile(path: string, table: string): BkpError {
  return new BkpError('UNSUPPORTED', `${path} of table ${table} is a file that this bkp does not know`, {
    cause: 'a newer QuestDB may need it, and a restore without it would then be wrong',
    next: 'use a newer bkp; if the server did not write the file, move it out of the folder',
    context: {path, table},
  });
}

function listParquet(
  listing: Listing,
  table: TableState,
  folder: string,
  partition: Partition & {parquetBytes: number},
): ListedFile {
  const bytes = partition.parquetBytes;
  const wanted = {path: `${folder}/${parquetName}`, table: table.name};
  const complete = listFile(listing, wanted);
  if (complete === undefined) throw missingFile(wanted.path, table.name);
  // Newer versions keep flags in the high bits. The number is then not a length, and the whole file is copied.
  const isLength = bytes > 0 && bytes <= complete.sizeBytes + complete.zeroTailBytes;
  if (!isLength) return complete;
  return listFile(listing, {...wanted, validBytes: bytes, version: rowsVersion(table, partition)}) ?? complete;
}

type ColumnOf = {folder: string; partition: Partition; column: Column};

function listColumn(listing: Listing, state: TableState, {folder, partition, column}: ColumnOf): ListedFile[] {
  const table = state.name;
  const place = state.columns.place(partition.timestamp, column.index);
  if (place === undefined) return [];
  const rows = partition.rows - place.top;
  const file = (ending: string) => ({path: columnPath(folder, column, place, ending), table});
  const need = (ending: string, facts: {validBytes: number; numberBytes?: number}) => {
    const wanted = file(ending);
    const found = listFile(listing, {...wanted, ...facts, version: rowsVersion(state, partition)});
    if (found === undefined) throw missingFile(wanted.path, table);
    return found;
  };
  const {shape} = column;
  if (shape.kind === 'unknown') {
    throw new BkpError(
      'UNSUPPORTED',
      `column ${column.name} of table ${table} has a type that this bkp does not know`,
      {
        next: 'use a newer bkp',
        context: {table, column: column.name},
      },
    );
  }
  if (rows <= 0) {
    // The column was added after the last row: its files may not exist yet.
    return present(columnFiles(shape).map((ending) => listFile(listing, file(ending))));
  }
  if (shape.kind === 'fixed') {
    return [need('d', {validBytes: rows * shape.widthBytes, numberBytes: shape.widthBytes})];
  }
  const positions = need('i', {
    validBytes: positionsBytes(shape.kind, rows),
    numberBytes: positionsBytes(shape.kind, 1),
  });
  const bytes = withFile(listing, file('i'), (open) => dataBytes(open, shape.kind, rows));
  if (bytes === undefined) throw missingFile(file('i').path, table);
  return [need('d', {validBytes: bytes}), positions];
}

async function listColumnIndex(
  listing: Listing,
  state: TableState,
  {folder, partition, column}: ColumnOf,
): Promise<ListedFile[]> {
  const place = state.columns.place(partition.timestamp, column.index);
  if (place === undefined) return [];
  const [path, keys, values] = ['d', 'k', 'v'].map((ending) => columnPath(folder, column, place, ending));
  const top = Math.min(place.top, partition.rows);
  return listIndex(listing, {
    path: path!,
    keys: keys!,
    values: values!,
    table: state.name,
    column,
    top,
    rows: partition.rows,
    version: rowsVersion(state, partition),
  });
}

export function columnPath(folder: string, {name}: Column, {nameTxn}: ColumnPlace, ending: string): string {
  return `${folder}/${name}.${ending}${nameTxn === -1n ? '' : `.${nameTxn}`}`;
}
