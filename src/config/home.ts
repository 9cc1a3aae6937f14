import {posix, win32} from 'node:path';

/** The folder where one user's journal, configuration, logs and caches lie; every path is absolute. */
export type Home = {
  dir: string;
  configFile: string;
  journalFile: string;
  logsDir: string;
  cacheDir: string;
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
    configFile: path.join(dir, 'config.json'),
    journalFile: path.join(dir, 'journal.db'),
    logsDir: path.join(dir, 'logs'),
    cacheDir: path.join(dir, 'cache'),
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
