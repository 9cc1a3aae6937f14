import type {DatabaseMoment} from '../../file-source.ts';
import type {TableState} from '../format/table.ts';
import {type Listing, listFolder} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';

/** A server that finds this file recovers from `.checkpoint` and removes the file. */
export const restoreTrigger = '_restore';

export function databaseFacts(version: string, tables: readonly TableState[]): Omit<DatabaseMoment, 'leftOut'> {
  return {
    product: 'questdb',
    version,
    tables: tables.map(({name, txn}) => ({name, rows: txn.rows})).sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/** Files that belong to no table: the database's id, the number of the next table; the configuration is optional. */
export function listBeside(listing: Listing, isWanted: (name: string) => boolean): ListedFile[] {
  const {files} = listFolder(listing, 'db', undefined, isWanted);
  const conf = listFolder(listing, 'conf').files.map((file): ListedFile => ({...file, optional: true}));
  return [...files, ...conf];
}
