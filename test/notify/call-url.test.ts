import {expect, test} from 'vitest';
import {callUrl} from '../../src/notify/call-url.ts';
import {startListener} from '../helpers/listener.ts';

const quick = {pauseMs: 1};

test('callUrl sends a POST with a JSON body; every 2xx is a success', async () => {
  const {url, calls} = await startListener(() => 204);
  expect(await callUrl(`${url}/hook/t0ken?a=b`, '{"id":"fullbackup/1"}', quick)).toBeUndefined();
  expect(calls).toMatchObject([{method: 'POST', path: '/hook/t0ken?a=b', body: '{"id":"fullbackup/1"}'}]);
  expect(calls[0]!.headers).toMatchObject({'content-type': 'application/json', 'user-agent': 'bkp'});
});

test('without a body the request is empty', async () => {
  const {url, calls} = await startListener();
  expect(await callUrl(url, undefined, quick)).toBeUndefined();
  expect(calls).toMatchObject([{method: 'POST', body: ''}]);
  expect(calls[0]!.headers).not.toHaveProperty('content-type');
});

test('the user in a URL becomes a header, decoded', async () => {
  const {url, calls} = await startListener();
  await callUrl(url.replace('//', '//ann:p%40ss@'), '{}', quick);
  expect(calls[0]!.headers.authorization).toBe(`Basic ${Buffer.from('ann:p@ss').toString('base64')}`);
});

test.each([
  [400, 1, 'the server responded with 400'],
  [404, 1, 'the server responded with 404'],
  [302, 1, 'the server responded with 302, a redirect, which bkp does not follow'],
  [429, 3, 'the server responded with 429'],
  [503, 3, 'the server responded with 503'],
])('status %d is a failure after %d tries', async (status, tries, fault) => {
  const {url, calls} = await startListener(() => status);
  expect(await callUrl(`${url}/t0ken`, '{}', quick)).toBe(fault);
  expect(calls).toHaveLength(tries);
});

test('a second try that succeeds is a success', async () => {
  const {url, calls} = await startListener((_, count) => (count === 1 ? 500 : 200));
  expect(await callUrl(url, '{}', quick)).toBeUndefined();
  expect(calls).toHaveLength(2);
});

test('a server that does not respond is a failure after the timeout', async () => {
  const {url} = await startListener(() => 'never');
  expect(await callUrl(`${url}/t0ken`, '{}', {...quick, tries: 1, timeoutMs: 50})).toBe('no response within 0.05 s');
});

test('an unreachable server is reported with the reason, without the URL', async () => {
  const {url} = await startListener();
  expect(await callUrl('http://127.0.0.1:1/t0ken', '{}', quick)).toMatch(/^the server cannot be reached( \(\w+\))?$/);
  expect(await callUrl(`${url.replace('http:', 'https:')}/t0ken`, '{}', quick)).toMatch(
    /^the server cannot be reached \(\w+\)$/,
  );
});
