import {expect, test} from 'vitest';
import {fakeStore} from './fixture.ts';

const ours = Buffer.from('ours');
const theirs = Buffer.from('theirs');

test('a conditional write whose response was lost counts as written when it is retried', async () => {
  const {server, store} = await fakeStore();
  server.fault({call: 'PutObject'}, {kind: 'loseReply'});
  expect(await store.put('lease', ours, {ifAbsent: true})).toBe('written');
  expect(server.requests.map(({name}) => name)).toEqual(['PutObject', 'PutObject', 'GetObject']);
});

test('a conditional write counts as written if the server responded with 500 after writing', async () => {
  const {server, store} = await fakeStore();
  server.fault({call: 'PutObject'}, {kind: 'answer', status: 500, code: 'InternalError', headers: {}});
  server.objects.put('lease', ours);
  expect(await store.put('lease', ours, {ifAbsent: true})).toBe('written');
});

test('another writer’s object counts as existing although our first response was lost', async () => {
  const {server, store} = await fakeStore();
  server.fault({call: 'PutObject'}, {kind: 'reset'});
  server.fault({call: 'PutObject'}, {kind: 'run', action: () => void server.objects.put('lease', theirs)});
  expect(await store.put('lease', ours, {ifAbsent: true})).toBe('exists');
  expect(server.objects.get('lease')?.body).toEqual(theirs);
});

test('a put that the server may carry out once more is named', async () => {
  const {server, store} = await fakeStore();
  const repeated: string[] = [];
  const put = (key: string, ifAbsent = true) =>
    store.put(key, ours, {ifAbsent, onRepeated: () => void repeated.push(key)});
  // Never carried out, and carried out before its connection broke: bkp cannot tell the one from the other.
  server.fault({key: 'not-carried-out'}, {kind: 'reset'});
  expect(await put('not-carried-out')).toBe('written');
  server.fault({key: 'plain'}, {kind: 'loseReply'});
  expect(await put('plain', false)).toBe('written');
  server.fault({key: 'theirs'}, {kind: 'reset'});
  server.fault({key: 'theirs'}, {kind: 'run', action: () => void server.objects.put('theirs', theirs)});
  expect(await put('theirs')).toBe('exists');
  server.fault({key: 'twice', times: 2}, {kind: 'loseReply'});
  expect(await put('twice')).toBe('written');
  expect(repeated).toEqual(['not-carried-out', 'plain', 'theirs', 'twice']);
  // Here the only other request is the one that wrote it, or the server refused it.
  server.fault({key: 'once'}, {kind: 'loseReply'});
  expect(await put('once')).toBe('written');
  server.fault({key: 'busy'}, {kind: 'answer', status: 503, code: 'SlowDown'});
  expect(await put('busy')).toBe('written');
  expect(await put('calm')).toBe('written');
  expect(repeated).toHaveLength(4);
});

test('equal bytes count as existing if no try of this call can have written them', async () => {
  const {server, store} = await fakeStore();
  await store.put('lease', ours);
  expect(await store.put('lease', ours, {ifAbsent: true})).toBe('exists');
  // A refusal says that nothing was done.
  server.fault({call: 'PutObject'}, {kind: 'answer', status: 503, code: 'SlowDown', headers: {'retry-after': '0'}});
  expect(await store.put('lease', ours, {ifAbsent: true})).toBe('exists');
  server.fault({call: 'PutObject'}, {kind: 'answer', status: 409, code: 'ConditionalRequestConflict'});
  expect(await store.put('lease', ours, {ifAbsent: true})).toBe('exists');
  expect(server.requests.filter(({name}) => name === 'GetObject')).toEqual([]);
});

test('a plain write and a removal whose responses were lost are repeated with the same result', async () => {
  const {server, store} = await fakeStore();
  server.fault({call: 'PutObject'}, {kind: 'loseReply'});
  expect(await store.put('a', ours)).toBe('written');
  server.fault({call: 'DeleteObjects'}, {kind: 'loseReply'});
  expect(await store.delete(['a'])).toEqual([]);
  expect(server.objects.keys()).toEqual([]);
});

test('of many writers with lost responses exactly one succeeds', async () => {
  const {server, store} = await fakeStore();
  server.fault({call: 'PutObject', times: 6}, {kind: 'loseReply'});
  const values = Array.from({length: 12}, (_, n) => Buffer.from(`value ${n}`));
  const outcomes = await Promise.all(values.map((value) => store.put('lease', value, {ifAbsent: true})));
  expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(1);
  expect(server.objects.get('lease')?.body).toEqual(values[outcomes.indexOf('written')]);
});
