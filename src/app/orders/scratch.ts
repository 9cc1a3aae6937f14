import {randomBytes} from 'node:crypto';
import {rmSync, statfsSync} from 'node:fs';
import {basename, join} from 'node:path';
import {makeInHome} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {formatBytes} from '../../lib/figures.ts';
import {makeFolderSync} from '../../lib/files.ts';
import type {ScratchDatabases, TableSource} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';

// Where drills and comparisons restore to: a folder for each operation, which is removed at its end.

const namePattern = /^drill-[0-9a-f]{12}$/;

/** The path of a folder that does not exist yet, for the order of an operation. */
export async function scratchFolder({settings, home}: Pick<Deps, 'settings' | 'home'>): Promise<string> {
  const {scratch} = await settings();
  return join(scratch ?? join(home.cacheDir, 'drills'), `drill-${randomBytes(6).toString('hex')}`);
}

/**
 * The folder exists while `use` runs.
 * @param options.bytes that will be written
 * @throws BkpError `SOURCE_FULL` if there is no room for them
 */
export async function withScratch<T>(
  {home}: Pick<Deps, 'home'>,
  folder: string,
  {bytes, use}: {bytes: number; use: () => Promise<T>},
): Promise<T> {
  makeInHome(home, folder);
  makeFolderSync(folder, 0o700);
  try {
    const {bavail, bsize} = statfsSync(folder);
    if (bavail * bsize < bytes) {
      throw new BkpError(
        'SOURCE_FULL',
        `the drill needs about ${formatBytes(bytes)}, and ${folder} has ${formatBytes(bavail * bsize)}`,
        {next: 'bkp config set verify.scratch DIR names a folder on a disk with space'},
      );
    }
    return await use();
  } finally {
    removeScratch(folder);
  }
}

/** @throws BkpError `PRECONDITION` if the source is a file, and the backup is of a server */
export function requireServer({scratch, description}: TableSource): ScratchDatabases {
  if (scratch !== undefined) return scratch;
  throw new BkpError('PRECONDITION', `the backup is of a server, and ${description} is none`, {
    next: 'name a server where bkp may create a database: bkp --source postgres://localhost/postgres sql --wait "…"',
  });
}

/** The database of a drill on a server has the digits of the folder that a drill in a file would have. */
export const scratchId = (folder: string) => basename(folder).replace(/^drill-/u, '');

/** Removes what a drill left, and nothing that is not named like its folder. */
export function removeScratch(folder: string): void {
  if (namePattern.test(basename(folder))) rmSync(folder, {recursive: true, force: true});
}
