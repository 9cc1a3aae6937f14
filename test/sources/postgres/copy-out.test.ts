import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {PassThrough} from 'node:stream';
import {setImmediate as turn} from 'node:timers/promises';
import {expect, onTestFailed, onTestFinished, test} from 'vitest';
import {CopyOut} from '../../../src/sources/postgres/connection/copy-out.ts';
import {LendingSocket} from '../../../src/sources/postgres/connection/lending-socket.ts';
import {randomFrom} from '../../helpers/random-from.ts';
import {seed} from '../../seeds/seed.ts';

const message = (type: string, content: Buffer) => {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([header, content]);
};

type Stream = {stream: NodeJS.ReadWriteStream; send: (bytes: Buffer) => Promise<void>};

/** As through TLS: each read has memory of its own. */
async function plainStream(): Promise<Stream> {
  const stream = new PassThrough({highWaterMark: 2 ** 22});
  return {
    stream,
    send: async (bytes) => {
      if (!stream.write(bytes)) await once(stream, 'drain');
    },
  };
}

async function lendingStream(): Promise<Stream> {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-copy-'));
  const server = createServer().listen(join(folder, 's'));
  await once(server, 'listening');
  const stream = new LendingSocket();
  stream.connect(join(folder, 's'));
  const [[peer]] = (await Promise.all([once(server, 'connection'), once(stream, 'connect')])) as [[Socket], unknown];
  onTestFinished(() => {
    stream.destroy();
    peer.destroy();
    server.close();
    rmSync(folder, {recursive: true});
  });
  return {
    stream,
    send: async (bytes) => {
      if (!peer.write(bytes)) await once(peer, 'drain');
    },
  };
}

for (const [name, open] of [
  ['a socket that lends its memory', lendingStream],
  ['a stream of reads of their own', plainStream],
] as const) {
  test(`rows of any size arrive whole, wherever ${name} cuts their messages`, async () => {
    onTestFailed(() => console.error(`seed ${seed}`));
    const random = randomFrom(seed);
    const below = (limit: number) => Math.floor(random() * limit);
    const lengths = [
      0,
      3,
      255,
      256,
      257,
      262_138,
      262_139,
      262_140,
      700_000,
      ...Array.from({length: 400}, () => below(900)),
    ];
    const rows = lengths.toSorted(() => random() - 0.5).map((length, at) => `${at}:${'x'.repeat(length)}\n`);
    const notice = message('N', Buffer.from('SWARNING\0\0'));
    const end = Buffer.concat([message('c', Buffer.alloc(0)), message('C', Buffer.from('COPY\0'))]);
    const sent = Buffer.concat([
      message('H', Buffer.alloc(7)),
      ...rows.flatMap((row, at) => [message('d', Buffer.from(row)), ...(at % 7 === 0 ? [notice] : [])]),
      end,
    ]);
    const {stream, send} = await open();
    const driver: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => driver.push(bytes));
    const read: Buffer[] = [];
    const copy = new CopyOut('COPY t TO STDOUT', (bytes) => {
      read.push(Buffer.from(bytes));
      return read.length % 3 === 0 ? turn() : undefined;
    });
    copy.submit({stream, query: () => {}});
    for (let at = 0; at < sent.length; ) {
      const cut = below(10) === 0 ? below(400_000) : below(4000);
      await send(sent.subarray(at, at + cut + 1));
      at += cut + 1;
      if (below(5) === 0) await turn();
    }
    while (Buffer.concat(driver).length < end.length) await turn();
    expect(Buffer.concat(driver)).toEqual(end);
    expect(Buffer.concat(read).toString() === rows.join('')).toBe(true);
    expect(copy.rows).toBe(rows.length);
    // The next statement is the driver's again.
    await send(Buffer.from('next'));
    while (Buffer.concat(driver).length < end.length + 4) await turn();
    expect(Buffer.concat(driver).subarray(end.length).toString()).toBe('next');
  });
}
