import {readdirSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {execa} from 'execa';
import {BkpError} from '../../../errors/index.ts';

/** Where packages put the programs of several versions. */
const usualFolders = [
  {parent: '/usr/lib/postgresql', below: 'bin'},
  {parent: '/usr', below: 'bin', match: /^pgsql-\d+$/u},
  {parent: '/opt/homebrew/opt', below: 'bin', match: /^(?:postgresql@\d+|libpq)$/u},
  {parent: '/usr/local/opt', below: 'bin', match: /^(?:postgresql@\d+|libpq)$/u},
] as const;

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
  const found: Programs[] = [];
  for (const folder of new Set(folders)) {
    const major = await majorOf(join(folder, 'pg_dump'));
    if (major !== undefined) found.push({folder, major});
  }
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
  const {stdout, failed} = await execa(program, ['--version'], {reject: false, timeout: 10_000});
  const major = /\(PostgreSQL\) (\d+)/u.exec(failed ? '' : stdout)?.[1];
  return major === undefined ? undefined : Number(major);
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
