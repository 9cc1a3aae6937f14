import {PassThrough} from 'node:stream';
import {setImmediate as turn} from 'node:timers/promises';
import {expect, test} from 'vitest';
import {CopyIn} from '../../../src/sources/postgres/connection/copy-in.ts';

test('a stream that is often full has no more listeners after many pieces', async () => {
  const stream = new PassThrough({highWaterMark: 16});
  const sent: Buffer[] = [];
  const usual = ['drain', 'close', 'error'].map((event) => stream.listenerCount(event));
  async function* pieces() {
    for (let at = 0; at < 50; at++) {
      yield Buffer.from(`${at}\n`.padStart(40));
      await turn();
    }
  }
  const copy = new CopyIn('COPY t FROM STDIN', pieces());
  const ended = new Promise<void>((resolve) => {
    const wire = {stream, query: () => {}, sendCopyFail: () => {}, endCopyFrom: resolve};
    copy.submit(wire);
    copy.handleCopyInResponse(wire);
  });
  void turn().then(() => stream.on('data', (bytes: Buffer) => sent.push(bytes)));
  await ended;
  expect(['drain', 'close', 'error'].map((event) => stream.listenerCount(event))).toEqual(usual);
  copy.handleCommandComplete({text: 'COPY 50'});
  copy.handleReadyForQuery();
  expect(await copy.done).toBe(50);
  await turn();
  expect(Buffer.concat(sent).length).toBe(50 * 45);
});
