import {accessSync, constants, readdirSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {startProgram} from './run-program.ts';

/** Where packages put the programs of several versions. */
const usualFolders = [
  {parent: '/usr/lib/postgresql', below: 'bin'},
  {parent: '/usr', below: 'bin', match: /^pgsql-\d+$/u},
  {parent: '/opt/homebrew/opt', below: 'bin', match: /^(?:postgresql@\d+|libpq)$/u},
  {parent: '/usr/local/opt', below: 'bin', match: /^(?:postgresql@\d+|libpq)$/u},
] as const;

/** A program of a folder that hangs, as on a lost network drive, is left out after this. */
const versionMs = 10_000;

export type Programs = {folder: string; major: number};

/**
 * The folder with the oldest pg_dump that can read the server: an older one refuses it, and the newest one writes what
 * an older server of a restore may not know.
 * @throws BkpError `PRECONDITION`
 */
export async function findPrograms(
  serverMajor: number,
  {pgBin, path}: {pgBin: string | undefined; path: string | undefined},
): Promise<Programs> {
  const folders = pgBin === undefined ? [...(path ?? '').split(delimiter).filter(Boolean), ...foldersOf()] : [pgBin];
  const majors = await Promise.all(
    [...new Set(folders)].map(async (folder) => ({folder, major: await majorOf(join(folder, 'pg_dump'))})),
  );
  const found = majors.flatMap(({folder, major}) => (major === undefined ? [] : [{folder, major}]));
  const usable = found.filter(({major}) => major >= serverMajor).toSorted((a, b) => a.major - b.major);
  if (usable[0] !== undefined) return usable[0];
  const [newest] = found.toSorted((a, b) => b.major - a.major);
  const message =
    newest === undefined
      ? 'there is no pg_dump, which bkp needs for the schema'
      : `pg_dump ${newest.major} (${newest.folder}) cannot read a server of version ${serverMajor}`;
  throw new BkpError('PRECONDITION', message, {
    cause: `searched in ${pgBin ?? 'PATH and the usual folders'}`,
    next: `install the package postgresql-client-${serverMajor}, or set pgBin=FOLDER in the source`,
  });
}

async function majorOf(program: string): Promise<number | undefined> {
  // To start what is not there costs as much as to start it.
  if (!mayRun(program)) return undefined;
  const {ended} = startProgram(program, ['--version'], {signal: AbortSignal.timeout(versionMs)}, {keep: true});
  const {stdout, fault} = await ended;
  const major = /\(PostgreSQL\) (\d+)/u.exec(fault === undefined ? stdout.toString() : '')?.[1];
  return major === undefined ? undefined : Number(major);
}

function mayRun(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function foldersOf(): readonly string[] {
  return usualFolders.flatMap(({parent, below, ...rest}) => {
    const match = 'match' in rest ? rest.match : /^\d+$/u;
    return namesIn(parent)
      .filter((name) => match.test(name))
      .map((name) => join(parent, name, below));
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
