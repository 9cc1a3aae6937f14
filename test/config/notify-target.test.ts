import {inspect} from 'node:util';
import {expect, test} from 'vitest';
import {loadSettings, openProfiles} from '../../src/config/index.ts';
import {readTarget, readUrl} from '../../src/config/notify-target.ts';
import {readConfig, temporaryHome} from './fixture.ts';

test.each([
  ['https://hooks.example.org/T0/s3cret', 'webhook', 'https://hooks.example.org/***'],
  ['http://hooks.example.org:8080/?token=s3cret', 'webhook', 'http://hooks.example.org:8080/***'],
  ['HTTPS://ann:s3cret@ntfy.example.org', 'webhook', 'https://ntfy.example.org/***'],
  ['https://hooks.example.org', 'webhook', 'https://hooks.example.org'],
  ['/usr/local/bin/tell', 'command', '/usr/local/bin/tell'],
  ['mail -s s3cret admin', 'command', 'mail ***'],
  ['curl -d @-\n  https://x/s3cret', 'command', 'curl ***'],
  ['TOKEN=s3cret tell', 'command', '***'],
  ['"/opt/my tools/tell" s3cret', 'command', '***'],
  ['httpie s3cret', 'command', 'httpie ***'],
])('%j is a %s, shown as %s', (text, kind, shown) => {
  const target = readTarget(text)!;
  expect([target.kind, target.shown, target.reveal()]).toEqual([kind, shown, text]);
  const leaks = [
    String(target),
    JSON.stringify({target}),
    inspect(target, {showHidden: true}),
    JSON.stringify({...target}),
  ];
  expect(leaks.join()).not.toContain('s3cret');
});

test.each(['https:/s3cret', 'https://', 'https://host/a s3cret', 'http:s3cret', 'https://[s3cret'])(
  '%j is no URL, and is not repeated',
  (text) => {
    for (const read of [readTarget, readUrl]) {
      expect(() => read(text)).toThrow(
        expect.objectContaining({code: 'USAGE', message: expect.not.stringContaining('s3cret')}),
      );
    }
  },
);

test('a blank text is not a target, and a monitor must be a URL', () => {
  expect(readTarget('  ')).toBeUndefined();
  expect(readTarget('a\0b')).toBeUndefined();
  expect(readUrl('tell')).toBeUndefined();
});

test('a target comes from the profile, the environment, a file, or is off', async () => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  const kept = await profiles.set('default', 'notify.on_failure', 'https://hooks.example.org/s3cret', '/');
  expect(kept).toBe('https://hooks.example.org/***');
  await profiles.set('default', 'notify.heartbeat', 'https://hc.example.org/s3cret', '/');
  expect(readConfig(home).profiles.default).toEqual({
    'notify.on_failure': 'https://hooks.example.org/s3cret',
    'notify.heartbeat': 'https://hc.example.org/s3cret',
  });
  const load = async (env: Record<string, string> = {}) => {
    const {notifyOnFailure, notifyOnSuccess, notifyHeartbeat} = await loadSettings({
      home,
      env,
      flags: {},
      cwd: '/work',
    });
    return [notifyOnFailure, notifyOnSuccess, notifyHeartbeat].map((target) => target?.reveal());
  };
  expect(await load()).toEqual(['https://hooks.example.org/s3cret', undefined, 'https://hc.example.org/s3cret']);
  expect(await load({BKP_NOTIFY_ON_SUCCESS: 'tell', BKP_NOTIFY_HEARTBEAT: 'off'})).toEqual([
    'https://hooks.example.org/s3cret',
    'tell',
    undefined,
  ]);
  expect(await load({BKP_NOTIFY_ON_FAILURE_FILE: home.configFile})).toEqual([
    expect.stringContaining('"version"'),
    undefined,
    'https://hc.example.org/s3cret',
  ]);
});

test('the error for an invalid value does not repeat it', async () => {
  const profiles = await openProfiles(temporaryHome());
  const refused = profiles.set('default', 'notify.heartbeat', 'hc.example.org/s3cret', '/');
  await expect(refused).rejects.toMatchObject({
    message: 'notify.heartbeat cannot be this',
    next: 'accepted: an http or https URL; or off',
  });
});
