import {BkpError} from '../../../errors/index.ts';
import {translated} from '../engine/errors.ts';
import {OutOfOrder} from './key-order.ts';
import {PageFault} from './page-fault.ts';
import type {TableTree} from './trees.ts';

export type TreePlace = {path: string; table: string; tree: TableTree};

const check = (path: string) => `check the database with: sqlite3 '${path}' 'PRAGMA integrity_check'`;

const treeName = ({table, tree}: TreePlace) =>
  tree.isIndex ? `index ${tree.name} of table ${table}` : `table ${table}`;

/** What reading a tree failed with, as a user sees it. */
export function readingError(error: unknown, place: TreePlace): unknown {
  const {path, table} = place;
  if (error instanceof OutOfOrder) {
    return new BkpError('SOURCE_DAMAGED', `${treeName(place)} is damaged: its rows are not in the order of its key`, {
      next: check(path),
      context: {path, table},
    });
  }
  if (!(error instanceof PageFault)) return translated(error, path);
  return new BkpError('SOURCE_DAMAGED', `${treeName(place)} is damaged: ${error.message}`, {
    cause: error,
    next: check(path),
    context: {path, table, page: error.page},
  });
}

/** A record is missing somewhere, or there is one too many. */
export function countError(place: TreePlace, records: number, rows: number): BkpError {
  const {path, table} = place;
  return new BkpError('SOURCE_DAMAGED', `${treeName(place)} has ${records} records, and there are ${rows} rows`, {
    next: check(path),
    context: {path, table},
  });
}
