import {Writable} from 'node:stream';
import {setImmediate as turn} from 'node:timers/promises';
import {expect, test} from 'vitest';
import {CopyIn} from '../../../src/sources/postgres/connection/copy-in.ts';

const headerBytes = 5;

/** As a socket: it reads the memory of a write some time after the call, and calls back then. */
function slowStream() {
  const sent: Buffer[] = [];
  const memory = new Set<number>();
  const stream = new Writable({
    highWaterMark: 16,
    write(bytes: Buffer, _encoding, done) {
      void turn().then(() => {
        sent.push(Buffer.from(bytes));
        if (bytes.length > headerBytes) memory.add(bytes.byteOffset);
        done();
      });
    },
  });
  return {stream, memory, sent: () => Buffer.concat(sent)};
}

async function send(stream: Writable, pieces: AsyncIterable<Uint8Array>): Promise<CopyIn> {
  const copy = new CopyIn('COPY t FROM STDIN', pieces);
  await new Promise<void>((resolve) => {
    const wire = {stream, query: () => {}, sendCopyFail: () => {}, endCopyFrom: resolve};
    copy.submit(wire);
    copy.handleCopyInResponse(wire);
  });
  return copy;
}

/** What COPY sends for pieces. */
function messagesOf(pieces: readonly Uint8Array[]): Buffer {
  const messages = pieces.map((piece) => {
    const header = Buffer.from('d....');
    header.writeUInt32BE(piece.length + 4, 1);
    return Buffer.concat([header, piece]);
  });
  return Buffer.concat(messages);
}

test('pieces arrive as they were, also those in memory that is used again for the next one', async () => {
  const {stream, sent} = slowStream();
  const sizes = [40, 3_000_000, 0, 1, 524_288, 524_289];
  const expected = sizes.map((size, at) => Buffer.alloc(size, `${at} row\n`));
  async function* pieces() {
    const memory = Buffer.alloc(3_000_000);
    for (const piece of expected) {
      piece.copy(memory);
      yield memory.subarray(0, piece.length);
      memory.fill('x');
    }
  }
  const copy = await send(stream, pieces());
  copy.handleCommandComplete({text: 'COPY 50'});
  copy.handleReadyForQuery();
  expect(await copy.done).toBe(50);
  expect(sent().equals(messagesOf(expected))).toBe(true);
});

test('many pieces need the memory of one, and leave no listener', async () => {
  const {stream, memory} = slowStream();
  const usual = ['drain', 'close', 'error'].map((event) => stream.listenerCount(event));
  async function* pieces() {
    for (let at = 0; at < 50; at++) {
      yield Buffer.alloc(600_000, 'row\n');
      await turn();
    }
  }
  await send(stream, pieces());
  expect(['drain', 'close', 'error'].map((event) => stream.listenerCount(event))).toEqual(usual);
  expect(memory.size).toBe(1);
});

test('a connection that ends keeps no piece waiting', async () => {
  const {stream} = slowStream();
  stream.on('error', () => {});
  let asked = 0;
  async function* pieces() {
    for (; asked < 50; asked++) {
      if (asked === 3) stream.destroy(new Error('gone'));
      yield Buffer.alloc(2_000_000, 'row\n');
    }
  }
  await send(stream, pieces());
  expect(asked).toBe(50);
});
