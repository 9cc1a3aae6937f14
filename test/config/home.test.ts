import {expect, test} from 'vitest';
import {resolveHome} from '../../src/config/index.ts';

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

test('a relative home is made absolute, so that a worker elsewhere finds it', () => {
  expect(resolveHome({BKP_HOME: 'here'}, 'linux', '/home/ann').dir).toBe(`${process.cwd()}/here`);
});

test('everything lies inside it', () => {
  expect(resolveHome({BKP_HOME: '/b'}, 'linux', '/home/ann')).toEqual({
    dir: '/b',
    configFile: '/b/config.json',
    journalFile: '/b/journal.db',
    logsDir: '/b/logs',
    cacheDir: '/b/cache',
    historyFile: '/b/history',
    reloadFile: '/b/reload',
    clusterDir: '/b/cluster',
  });
});
