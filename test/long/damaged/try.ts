import {rmSync} from 'node:fs';
import {join} from 'node:path';
import {asPlain, type PlainError} from '../../../src/errors/index.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {type DatabaseImage, imageOf} from '../../helpers/sqlite-compare.ts';
import {type Backup, type Form, restore, takeFull} from '../../sources/layers.ts';
import {folder} from '../../sources/sqlite/database.ts';

export const tables = ['orders', 'plain', 'pairs'];

export type Outcome = {error: PlainError; backup?: undefined} | {error?: undefined; backup: Backup};

/** A full backup of a database that may be damaged. */
export async function tryBackup(path: string, form?: Form, only: readonly string[] = tables): Promise<Outcome> {
  try {
    return {backup: await takeFull(new SqliteSource(path), {tables: only, form})};
  } catch (error) {
    return {error: asPlain(error)};
  }
}

/** What a backup restores to: every value of its tables, or the error. */
export async function tryRestore(backup: Backup): Promise<DatabaseImage['tables'] | PlainError> {
  const path = join(folder(), 'restored.db');
  try {
    await restore(new SqliteSource(path), backup);
    return imageOf(path, tables).tables;
  } catch (error) {
    return asPlain(error);
  } finally {
    rmSync(path, {force: true});
  }
}
