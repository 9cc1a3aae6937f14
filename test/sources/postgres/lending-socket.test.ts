import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {expect, onTestFinished, test} from 'vitest';
import {LendingSocket} from '../../../src/sources/postgres/connection/lending-socket.ts';
import type {ReadArea} from '../../../src/sources/postgres/rows/read-area.ts';

/** @returns a connected socket, and its other end */
async function connected(): Promise<{socket: LendingSocket; peer: Socket}> {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-socket-'));
  const path = join(folder, 's');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const socket = new LendingSocket();
  socket.connect(path);
  const [[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [[Socket], unknown];
  onTestFinished(() => {
    socket.destroy();
    peer.destroy();
    server.close();
    rmSync(folder, {recursive: true});
  });
  return {socket, peer};
}

test('what a listener to data gets is its own', async () => {
  const {socket, peer} = await connected();
  const got: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => got.push(bytes));
  for (const text of ['first', 'other']) {
    peer.write(text);
    await once(socket, 'data');
  }
  expect(got.map(String)).toEqual(['first', 'other']);
});

test('a paused socket does not overwrite what it lent', async () => {
  const {socket, peer} = await connected();
  const got: Uint8Array[] = [];
  const texts = () => got.map((bytes) => Buffer.from(bytes).toString());
  socket.on('lent', (area: ReadArea) => {
    got.push(area.bytes);
    area.keep(0);
    socket.pause();
  });
  socket.resume();
  peer.write('first');
  await once(socket, 'lent');
  peer.write('other');
  await pause(50);
  expect(texts()).toEqual(['first']);
  socket.resume();
  await once(socket, 'lent');
  // The next read is into the same memory.
  expect(texts()).toEqual(['other', 'other']);
});

test('what a listener keeps is in front of what is read next', async () => {
  const {socket, peer} = await connected();
  const got: string[] = [];
  socket.on('lent', (area: ReadArea) => {
    got.push(Buffer.from(area.bytes).toString());
    area.keep(2);
  });
  socket.resume();
  for (const text of ['first', 'other']) {
    peer.write(text);
    await once(socket, 'lent');
  }
  expect(got).toEqual(['first', 'stother']);
});

test('the end of the other side is the end', async () => {
  const {socket, peer} = await connected();
  socket.on('data', () => {});
  peer.end();
  await once(socket, 'end');
});
