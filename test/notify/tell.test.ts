import {expect, test} from 'vitest';
import {readTarget, readUrl} from '../../src/config/notify-target.ts';
import {heartbeatUrl} from '../../src/notify/heartbeat-url.ts';
import {tellEnd, tellStart} from '../../src/notify/index.ts';
import {startListener} from '../helpers/listener.ts';

const options = {call: {pauseMs: 1, tries: 1}};
const anEnd = {succeeded: true, isBackup: true, json: '{"id":"fullbackup/1"}\n', env: {PATH: '/usr/bin:/bin'}};

const targets = (url: string) => ({
  onFailure: readTarget(`${url}/failure/t0ken`)!,
  onSuccess: readTarget(`${url}/success/t0ken`)!,
  heartbeat: readUrl(`${url}/ping/t0ken`)!,
});

test.each([
  [{succeeded: true, isBackup: true}, ['/ping/t0ken', '/success/t0ken']],
  [{succeeded: false, isBackup: true}, ['/failure/t0ken', '/ping/t0ken/fail']],
  // A verification that succeeds must not hide a backup that did not run.
  [{succeeded: true, isBackup: false}, ['/success/t0ken']],
  [{succeeded: false, isBackup: false}, ['/failure/t0ken']],
])('%j calls %j', async (end, paths) => {
  const listener = await startListener();
  expect(await tellEnd(targets(listener.url), {...anEnd, ...end}, options)).toEqual([]);
  expect(listener.paths().sort()).toEqual(paths);
  expect(new Set(listener.calls.map(({body}) => body))).toEqual(new Set([anEnd.json]));
});

test('without targets nothing is called', async () => {
  const listener = await startListener();
  const {onFailure} = targets(listener.url);
  expect(await tellEnd({onFailure}, anEnd, options)).toEqual([]);
  expect(await tellStart({onFailure}, options)).toBeUndefined();
  expect(listener.calls).toEqual([]);
});

test('tellStart calls only the monitor, and only once', async () => {
  const listener = await startListener(() => 500);
  expect(await tellStart(targets(listener.url), {call: {pauseMs: 1}})).toBe(
    `notify.heartbeat (start) ${listener.url}/***: the server responded with 500`,
  );
  expect(listener.paths()).toEqual(['/ping/t0ken/start']);
});

test('each failure is reported without its secret, and does not affect the others', async () => {
  const listener = await startListener(({path}) => (path.startsWith('/ping') ? 200 : 404));
  const {heartbeat} = targets(listener.url);
  const failing = {...targets(listener.url), onSuccess: readTarget('exit-with 3 --token=t0ken')!};
  expect(await tellEnd(failing, anEnd, options)).toEqual([
    'notify.on_success exit-with ***: the command ended with exit status 127',
  ]);
  expect(listener.paths()).toEqual(['/ping/t0ken']);
  const faults = await tellEnd({...failing, heartbeat}, {...anEnd, succeeded: false}, options);
  expect(faults).toEqual([`notify.on_failure ${listener.url}/***: the server responded with 404`]);
});

test('an invalid environment is reported as a failure', async () => {
  const faults = await tellEnd({onSuccess: readTarget('true')!}, {...anEnd, env: {NAME: 'a\0b'}}, options);
  expect(faults).toEqual([expect.stringMatching(/^notify\.on_success true: /)]);
});

test.each([
  ['https://hc-ping.com/uuid', 'https://hc-ping.com/uuid/fail'],
  ['https://hc-ping.com/uuid/', 'https://hc-ping.com/uuid/fail'],
  ['https://hc-ping.com/key/slug?create=1', 'https://hc-ping.com/key/slug/fail?create=1'],
  ['https://hc.example.org:8000', 'https://hc.example.org:8000/fail'],
])('%s fails at %s', (address, failed) => {
  expect(heartbeatUrl(address, 'fail')).toBe(failed);
  expect(heartbeatUrl(address, 'success')).toBe(address);
});
