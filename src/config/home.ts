import {chmodSync, type Dirent, mkdirSync, readdirSync, statSync} from 'node:fs';
import {join, posix, relative, sep, win32} from 'node:path';
import {BkpError} from '../errors/index.ts';

/** The folder where one user's journal, configuration, logs and caches lie; every path is absolute. */
export type Home = {
  dir: string;
  /** False when `BKP_HOME` or `--home` names it: then it may be a folder that holds other things too. */
  isUsual: boolean;
  configFile: string;
  journalFile: string;
  logsDir: string;
  cacheDir: string;
  /** Which stores held a vault. */
  vaultsDir: string;
  /** Statements typed at the prompt. */
  historyFile: string;
  /** Its change tells a running scheduler to read everything anew. */
  reloadFile: string;
  /** What `STORAGE = 'cluster'` means as long as no other directory is set. */
  clusterDir: string;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `BKP_HOME`, else the platform's usual folder for a program's data. Nothing is made and nothing is looked at.
 * @param homedir the user's own folder
 */
export function resolveHome(env: Environment, platform: NodeJS.Platform, homedir: string): Home {
  const path = platform === 'win32' ? win32 : posix;
  const dir = path.resolve(env.BKP_HOME || path.join(dataFolder(), 'bkp'));
  return {
    dir,
    isUsual: !env.BKP_HOME,
    configFile: path.join(dir, 'config.json'),
    journalFile: path.join(dir, 'journal.db'),
    logsDir: path.join(dir, 'logs'),
    cacheDir: path.join(dir, 'cache'),
    vaultsDir: path.join(dir, 'vaults'),
    historyFile: path.join(dir, 'history'),
    reloadFile: path.join(dir, 'reload'),
    clusterDir: path.join(dir, 'cluster'),
  };

  function dataFolder(): string {
    if (platform === 'win32') return env.LOCALAPPDATA || path.join(homedir, 'AppData', 'Local');
    if (platform === 'darwin') return path.join(homedir, 'Library', 'Application Support');
    // A relative one is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
    const xdg = env.XDG_DATA_HOME;
    return xdg && path.isAbsolute(xdg) ? xdg : path.join(homedir, '.local', 'share');
  }
}

const othersMay = 0o077;

/**
 * Makes a folder in the home, and the home itself, for their owner alone. What is there stays as it is, and so does
 * what lies elsewhere.
 * @throws BkpError `CONFIG_UNAVAILABLE`
 */
export function makeInHome({dir}: Pick<Home, 'dir'>, folder: string): void {
  const below = relative(dir, folder);
  if (below === '..' || below.startsWith(`..${sep}`) || win32.isAbsolute(below)) return;
  try {
    mkdirSync(folder, {recursive: true, mode: 0o700});
  } catch (cause) {
    throw new BkpError('CONFIG_UNAVAILABLE', `the folder ${folder} of bkp's home cannot be made`, {
      cause,
      next: 'make it writable for you, or choose another home with --home or BKP_HOME',
    });
  }
}

/**
 * Takes the rights of others from the usual home, which earlier versions made with them. A home that was named is
 * left: it may hold other things, which others are to read.
 * @returns whether anything was changed
 */
export function closeUsualHome({dir, isUsual}: Home): boolean {
  if (!isUsual || !isOpen(dir)) return false;
  try {
    chmodSync(dir, 0o700);
    return true;
  } catch {
    // Somebody else's: bkp doctor tells.
    return false;
  }
}

/** What others than its owner may get at, of all that bkp keeps in its home: paths, the home itself first. */
export function openToOthers(home: Home): string[] {
  const {dir, configFile, journalFile, historyFile, reloadFile, logsDir, cacheDir, vaultsDir, clusterDir} = home;
  const files = [configFile, journalFile, `${journalFile}-wal`, `${journalFile}-shm`, historyFile, reloadFile];
  const inside = [logsDir, cacheDir, vaultsDir].flatMap((folder) => [folder, ...entriesOf(folder)]);
  // What lies in the cluster is as closed as its folder.
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

/** Windows has rights of another kind, and a user's folder there is closed to others. */
function isOpen(path: string): boolean {
  if (process.platform === 'win32') return false;
  return ((statSync(path, {throwIfNoEntry: false})?.mode ?? 0) & othersMay) !== 0;
}
