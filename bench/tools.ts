import {cpSync, existsSync, mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {folderBytes, type Run, run} from './measure.ts';

/** One way to back up an SQLite file, set up as a user would. `stored` is in bytes, after each step. */
export type Tool = {
  name: string;
  /** The programs it needs. */
  needs: readonly string[];
  prepare: (place: Place) => Promise<void>;
  full: (place: Place) => Promise<Run>;
  /** The second backup, after changes. */
  next: (place: Place) => Promise<Run>;
  /** Of the first backup. */
  restore: (place: Place, target: string) => Promise<Run>;
  verify?: (place: Place) => Promise<Run>;
  stored: (place: Place) => number;
};

/** A separate folder for each tool and round, the database to back up, and what else the tool finds set. */
export type Place = {
  folder: string;
  database: string;
  env?: Record<string, string>;
  /** Of bkp; default: that of this checkout. */
  entry?: string;
};

const entry = join(import.meta.dirname, '..', 'bin', 'bkp.js');

/** bkp, with one `bkp sql --wait` per step; CPU and memory are the worker's, from the operation's log. */
export const bkp: Tool & {prepare: (place: Place, options?: {omitIndexes: boolean}) => Promise<void>} = {
  name: 'bkp',
  needs: [],
  prepare: async (place, {omitIndexes} = {omitIndexes: false}) => {
    await bkpCommand(place, ['config', 'set', 'source', `sqlite::path=${place.database}`]);
    await sql(
      place,
      "CREATE BACKUP COLLECTION shop DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true', " +
        `OMIT_INDEXES='${omitIndexes}')`,
    );
  },
  full: (place) => sql(place, 'BACKUP shop'),
  next: (place) => sql(place, 'BACKUP shop INCREMENTAL'),
  restore: (place, target) => sql(place, 'RESTORE shop', ['--source', target]),
  verify: (place) => sql(place, 'VERIFY shop'),
  stored: ({folder}) => folderBytes(join(folder, 'cluster')),
};

export function bkpCommand(place: Place, args: readonly string[]): Promise<Run> {
  const env = {BKP_HOME: join(place.folder, 'home'), BKP_CLUSTER: join(place.folder, 'cluster'), ...place.env};
  return run([process.execPath, place.entry ?? entry, ...args], {env});
}

async function sql(place: Place, statement: string, flags: readonly string[] = []): Promise<Run> {
  const args = [...flags, 'sql', '--wait', statement];
  return statement.startsWith('CREATE') ? bkpCommand(place, args) : bkpOperation(place, args);
}

/** A command that waits for an operation; CPU and memory are the worker's. */
export async function bkpOperation(place: Place, args: readonly string[]): Promise<Run> {
  const done = await bkpCommand(place, args);
  const log = (await bkpCommand(place, ['operation', 'get', 'last', '--log'])).stdout;
  const used = /used ([\d.]+) s of CPU, at most (\d+) MiB/.exec(log);
  return used === null ? done : {...done, cpuSeconds: Number(used[1]), peakMiB: Number(used[2])};
}

const resticEnv = {RESTIC_PASSWORD: 'benchmark', RESTIC_PROGRESS_FPS: '0'};

/** restic always encrypts. */
export const restic: Tool = {
  name: 'restic',
  needs: ['restic'],
  prepare: async (place) => void (await resticRun(place, ['init'])),
  full: (place) => resticRun(place, ['backup', place.database]),
  next: (place) => resticRun(place, ['backup', place.database]),
  restore: (place, target) => resticRun(place, ['restore', 'latest', '--target', `${target}.restic`]),
  verify: (place) => resticRun(place, ['check', '--read-data']),
  stored: ({folder}) => folderBytes(join(folder, 'restic')),
};

export function resticRun(place: Place, args: readonly string[]): Promise<Run> {
  const fixed = ['--repo', join(place.folder, 'restic'), '--cache-dir', join(place.folder, 'restic-cache')];
  return run(['restic', ...fixed, ...args], {env: resticEnv});
}

/** borg without encryption, its fastest mode. */
export const borg: Tool = {
  name: 'borg',
  needs: ['borg'],
  prepare: (place) => initBorg(place, 'none'),
  full: (place) => borgRun(place, ['create', '-C', 'zstd,3', `${repository(place)}::one`, place.database]),
  next: (place) => borgRun(place, ['create', '-C', 'zstd,3', `${repository(place)}::two`, place.database]),
  restore: (place, target) => {
    mkdirSync(`${target}.borg`, {recursive: true});
    return borgRun(place, ['extract', `${repository(place)}::one`], `${target}.borg`);
  },
  verify: (place) => borgRun(place, ['check', '--verify-data', repository(place)]),
  stored: (place) => folderBytes(repository(place)),
};

async function initBorg(place: Place, encryption: string): Promise<void> {
  await borgRun(place, ['init', '-e', encryption, repository(place)]);
}

/** borg's fastest encryption on machines with AES instructions. */
export const encryptedBorg: Tool = {
  ...borg,
  name: 'borg, encrypted',
  prepare: (place) => initBorg(place, 'repokey-blake2'),
};

const repository = ({folder}: Place) => join(folder, 'borg');

function borgRun(place: Place, args: readonly string[], cwd?: string): Promise<Run> {
  const env = {
    BORG_BASE_DIR: join(place.folder, 'borg-home'),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    BORG_PASSPHRASE: 'benchmark',
  };
  return run(['borg', ...args], {env, ...(cwd === undefined ? {} : {cwd})});
}

/** The usual cron job: a copy made by SQLite itself, compressed; every further backup is a full one. */
export const sqliteZstd: Tool = {
  name: '.backup + zstd -3',
  needs: ['sqlite3', 'zstd'],
  prepare: async ({folder}) => void mkdirSync(join(folder, 'copies'), {recursive: true}),
  full: (place) => copyAndCompress(place, 'one'),
  next: (place) => copyAndCompress(place, 'two'),
  restore: ({folder}, target) =>
    run(['zstd', '-q', '-d', '-f', join(folder, 'copies', 'one.zst'), '-o', `${target}.zstd`]),
  stored: ({folder}) => folderBytes(join(folder, 'copies')),
};

async function copyAndCompress({folder, database}: Place, name: string): Promise<Run> {
  const copy = join(folder, `${name}.db`);
  const script =
    `sqlite3 '${database}' ".backup '${copy}'" && zstd -q -3 -T0 -f '${copy}' -o ` +
    `'${join(folder, 'copies', name)}.zst'`;
  try {
    return await run(['sh', '-c', script]);
  } finally {
    rmSync(copy, {force: true});
  }
}

/** A working copy, so that every round starts with the same bytes. */
export function copyDatabase(from: string, to: string): void {
  for (const end of ['', '-wal']) {
    if (existsSync(from + end)) cpSync(from + end, to + end);
  }
}
