import {BkpError} from '../../../errors/index.ts';
import type {Column} from '../format/meta.ts';
import type {TableState} from '../format/table.ts';
import type {Partition} from '../format/txn.ts';
import {type Listing, listFile, missingFile, timesOf} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';
import type {FileTimes} from './stamp.ts';
import {rowsVersion} from './version.ts';

type ParquetIndexWanted = {folder: string; partition: Partition; column: Column; names: readonly string[]};

/**
 * An indexed column of a Parquet partition has its index in files next to `data.parquet`. bkp cannot build them,
 * because it does not read Parquet. The server writes them when it converts the partition, and rewrites them for late
 * rows. So they are copied only if they were not written between the checkpoint and the end of reading; otherwise the
 * backup fails.
 */
export function listParquetIndex(
  listing: Listing,
  state: TableState,
  {folder, partition, column, names}: ParquetIndexWanted,
): ListedFile[] {
  const table = state.name;
  const place = state.columns.place(partition.timestamp, column.index);
  if (place === undefined) return [];
  const suffix = place.nameTxn === -1n ? '' : `.${place.nameTxn}`;
  const files = ['k', 'v'].map((ending) => `${column.name}.${ending}${suffix}`);
  // Versions without these files read the rows instead.
  if (!files.every((name) => names.includes(name))) return [];
  const paths = files.map((name) => `${folder}/${name}`);
  const before = paths.map((path) => timesOf(listing, {path, table}));
  const unchanged = () => {
    const after = paths.map((path) => timesOf(listing, {path, table}));
    const isSame = after.every((times, at) => sameTimes(times, before[at]!));
    if (!isSame || !before.every((times) => times !== undefined && listing.isSettled(times))) {
      throw rewritten(paths[0]!, table);
    }
  };
  unchanged();
  return paths.map((path, at) => {
    const file = listFile(listing, {path, table, version: rowsVersion(state, partition)});
    if (file === undefined) throw missingFile(paths[at]!, table);
    return {...file, openEnded: false, check: unchanged};
  });
}

function sameTimes(a: FileTimes | undefined, b: FileTimes | undefined): boolean {
  const of = (times: FileTimes | undefined) => [times?.ino, times?.size, times?.mtimeNs, times?.ctimeNs].join(' ');
  return of(a) === of(b);
}

function rewritten(path: string, table: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `${path} of table ${table} was written after the checkpoint was created`, {
    cause: 'late rows were added to a Parquet partition, so its index does not belong to the checkpoint any more',
    next: 'take the backup again',
    context: {path, table},
    retryable: true,
  });
}
