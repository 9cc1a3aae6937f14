import {chmodSync, type Dirent, readdirSync, statSync} from 'node:fs';
import {homedir, userInfo} from 'node:os';
import {isAbsolute, join, posix, relative, sep, win32} from 'node:path';
import {BkpError} from '../errors/index.ts';
import {makeFolderSync} from '../lib/files.ts';
import {refuseTilde} from './addresses/absolute-path.ts';

/** The folder of one user's journal, configuration, logs and caches; every path is absolute. */
export type Home = {
  dir: string;
  /** False when `BKP_HOME` or `--home` names the folder: it may then contain other files too. */
  isUsual: boolean;
  configFile: string;
  journalFile: string;
  logsDir: string;
  cacheDir: string;
  /** Tables of backups while a command reads them; a folder for each command. */
  scratchDir: string;
  /** Compiled code, a folder for each version of bkp. */
  codeCacheDir: string;
  /** Records the stores that contained a vault. */
  vaultsDir: string;
  /** Statements typed at the prompt. */
  historyFile: string;
  /** A change of this file makes a running scheduler reload everything. */
  reloadFile: string;
  /** The default directory of `STORAGE = 'cluster'`. */
  clusterDir: string;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `BKP_HOME`, or else the platform's usual folder for the data of programs. Does not access the file system.
 * @param homedir the user's home directory
 * @throws BkpError `USAGE` for a leading `~` in `BKP_HOME`, which a crontab and systemd pass on as it is written
 */
export function resolveHome(env: Environment, platform: NodeJS.Platform, homedir: string): Home {
  const path = platform === 'win32' ? win32 : posix;
  if (env.BKP_HOME) refuseTilde(env.BKP_HOME, '--home or BKP_HOME');
  const dir = path.resolve(env.BKP_HOME || path.join(dataFolder(), 'bkp'));
  return {
    dir,
    isUsual: !env.BKP_HOME,
    configFile: path.join(dir, 'config.json'),
    journalFile: path.join(dir, 'journal.db'),
    logsDir: path.join(dir, 'logs'),
    cacheDir: path.join(dir, 'cache'),
    scratchDir: path.join(dir, 'scratch'),
    codeCacheDir: path.join(dir, 'cache', 'code'),
    vaultsDir: path.join(dir, 'vaults'),
    historyFile: path.join(dir, 'history'),
    reloadFile: path.join(dir, 'reload'),
    clusterDir: path.join(dir, 'cluster'),
  };

  function dataFolder(): string {
    if (platform === 'win32') return env.LOCALAPPDATA || path.join(homedir, 'AppData', 'Local');
    if (platform === 'darwin') return path.join(homedir, 'Library', 'Application Support');
    // The specification requires programs to ignore a relative path:
    // https://specifications.freedesktop.org/basedir-spec/latest/
    const xdg = env.XDG_DATA_HOME;
    return xdg && path.isAbsolute(xdg) ? xdg : path.join(homedir, '.local', 'share');
  }
}

/**
 * The user's home directory. A HOME that is empty or relative would be another folder wherever bkp is started; the
 * account's own counts then.
 */
export function userHome(): string {
  const named = homedir();
  return isAbsolute(named) ? named : userInfo().homedir;
}

const othersMay = 0o077;

/**
 * Creates a folder in the home, and the home itself, accessible only to their owner. Existing folders, and folders
 * outside of the home, are not changed.
 * @throws BkpError `CONFIG_UNAVAILABLE`
 */
export function makeInHome({dir}: Pick<Home, 'dir'>, folder: string): void {
  const below = relative(dir, folder);
  if (below === '..' || below.startsWith(`..${sep}`) || win32.isAbsolute(below)) return;
  try {
    makeFolderSync(folder, 0o700);
  } catch (cause) {
    throw new BkpError('CONFIG_UNAVAILABLE', `cannot create the folder ${folder} in bkp's home`, {
      cause,
      next: 'make it writable for this user, or choose another home with --home or BKP_HOME',
    });
  }
}

/**
 * Removes the rights of other users from the default home, which earlier versions created with them. A home that the
 * user named is not changed: it may contain files that others should read.
 * @returns whether the rights were changed
 */
export function closeUsualHome({dir, isUsual}: Home): boolean {
  if (!isUsual || !isOpen(dir)) return false;
  try {
    chmodSync(dir, 0o700);
    return true;
  } catch {
    // Another user owns it; bkp doctor reports that.
    return false;
  }
}

/** Paths in bkp's home that users other than the owner can access; the home itself first. */
export function openToOthers(home: Home): string[] {
  const {dir, configFile, journalFile, historyFile, reloadFile, logsDir, cacheDir, vaultsDir, clusterDir} = home;
  const files = [configFile, journalFile, `${journalFile}-wal`, `${journalFile}-shm`, historyFile, reloadFile];
  const inside = [logsDir, cacheDir, vaultsDir].flatMap((folder) => [folder, ...entriesOf(folder)]);
  // The rights of the cluster folder also protect the files in it.
  const found = [...files, ...inside, clusterDir].filter(isOpen);
  return isOpen(dir) ? [dir, ...found] : found;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder, {withFileTypes: true}).map((entry: Dirent) => join(folder, entry.name));
  } catch {
    return [];
  }
}

/** False on Windows, which has other kinds of rights, and where a user's folder is closed to other users. */
function isOpen(path: string): boolean {
  if (process.platform === 'win32') return false;
  return ((statSync(path, {throwIfNoEntry: false})?.mode ?? 0) & othersMay) !== 0;
}
