import {chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir, userInfo} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {closeUsualHome, makeInHome, openToOthers, resolveHome, userHome} from '../../src/config/index.ts';

test.each([
  [{BKP_HOME: '/srv/bkp'}, 'linux', '/srv/bkp'],
  [{BKP_HOME: '/srv/bkp', XDG_DATA_HOME: '/data'}, 'linux', '/srv/bkp'],
  [{BKP_HOME: '', XDG_DATA_HOME: '/data'}, 'linux', '/data/bkp'],
  [{XDG_DATA_HOME: 'relative'}, 'linux', '/home/ann/.local/share/bkp'],
  [{}, 'freebsd', '/home/ann/.local/share/bkp'],
  [{XDG_DATA_HOME: '/data'}, 'darwin', '/home/ann/Library/Application Support/bkp'],
] as const)('%j on %s: %s', (env, platform, dir) => {
  expect(resolveHome(env, platform, '/home/ann').dir).toBe(dir);
});

test('on Windows', () => {
  expect(resolveHome({LOCALAPPDATA: 'D:\\Local'}, 'win32', 'C:\\Users\\ann').dir).toBe('D:\\Local\\bkp');
  expect(resolveHome({}, 'win32', 'C:\\Users\\ann').journalFile).toBe(
    'C:\\Users\\ann\\AppData\\Local\\bkp\\journal.db',
  );
});

test('a relative home becomes absolute, so that a worker in another directory finds it', () => {
  expect(resolveHome({BKP_HOME: 'here'}, 'linux', '/home/ann').dir).toBe(`${process.cwd()}/here`);
});

test.each(['~', '~/bkp', '~\\bkp'])('a home %s is refused: a crontab does not expand it', (BKP_HOME) => {
  expect(() => resolveHome({BKP_HOME}, 'linux', '/home/ann')).toThrow('~ does not stand for a folder here');
});

test.each(['', 'relative'])('with HOME=%j, the home directory is that of the account', (HOME) => {
  const before = process.env.HOME;
  process.env.HOME = HOME;
  try {
    expect(userHome()).toBe(userInfo().homedir);
  } finally {
    if (before === undefined) delete process.env.HOME;
    else process.env.HOME = before;
  }
});

test('all paths are inside the home', () => {
  expect(resolveHome({BKP_HOME: '/b'}, 'linux', '/home/ann')).toEqual({
    dir: '/b',
    isUsual: false,
    configFile: '/b/config.json',
    journalFile: '/b/journal.db',
    logsDir: '/b/logs',
    cacheDir: '/b/cache',
    codeCacheDir: '/b/cache/code',
    scratchDir: '/b/scratch',
    vaultsDir: '/b/vaults',
    historyFile: '/b/history',
    reloadFile: '/b/reload',
    clusterDir: '/b/cluster',
  });
});

describe.skipIf(process.platform === 'win32')('access for the owner only', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bkp-home-'));
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, {recursive: true, force: true}));
  const modeOf = (path: string) => statSync(path).mode & 0o777;
  const usual = () => resolveHome({XDG_DATA_HOME: folder}, 'linux', '/home/ann');

  test('makeInHome() creates folders in the home, and none elsewhere', () => {
    const home = usual();
    makeInHome(home, home.clusterDir);
    expect([home.dir, home.clusterDir].map(modeOf)).toEqual([0o700, 0o700]);
    makeInHome(home, join(folder, 'elsewhere'));
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
    writeFileSync(join(folder, 'file'), '');
    const below = resolveHome({BKP_HOME: join(folder, 'file')}, 'linux', '/home/ann');
    expect(() => makeInHome(below, below.dir)).toThrow(expect.objectContaining({code: 'CONFIG_UNAVAILABLE'}));
  });

  test('closeUsualHome() closes the default home, and does not change a named one', () => {
    const home = usual();
    expect(closeUsualHome(home)).toBe(false);
    mkdirSync(home.dir, {mode: 0o755});
    expect([closeUsualHome(home), modeOf(home.dir), closeUsualHome(home)]).toEqual([true, 0o700, false]);
    const named = resolveHome({BKP_HOME: folder}, 'linux', '/home/ann');
    expect([closeUsualHome(named), modeOf(folder)]).toEqual([false, 0o755]);
  });

  test('openToOthers() lists exactly what other users can access', () => {
    const home = usual();
    expect(openToOthers(home)).toEqual([]);
    for (const made of [home.cacheDir, home.logsDir]) mkdirSync(made, {recursive: true, mode: 0o700});
    chmodSync(home.dir, 0o700);
    writeFileSync(join(home.logsDir, 'a.log'), '', {mode: 0o600});
    writeFileSync(join(home.dir, 'mine'), '', {mode: 0o644});
    expect(openToOthers(home)).toEqual([]);
    writeFileSync(join(home.cacheDir, 'a.db'), '', {mode: 0o644});
    chmodSync(home.dir, 0o750);
    expect(openToOthers(home)).toEqual([home.dir, join(home.cacheDir, 'a.db')]);
  });
});
