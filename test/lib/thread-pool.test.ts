import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {afterEach, expect, onTestFinished, test} from 'vitest';
import {ThreadPool} from '../../src/lib/thread-pool.ts';
import type {DecodeJob} from '../../src/vault/codec/decode-threads.ts';

/** A thread answers a job of this kind with true. */
const codec = pathToFileURL(resolve(import.meta.dirname, '../../src/vault/codec/decode-threads.ts')).href;

let pool: ThreadPool<DecodeJob, boolean> | undefined;
afterEach(() => pool?.terminate());

const start = (threads: number) => {
  pool = new ThreadPool('decode-thread', codec, {threads});
  return pool;
};

const job = (): DecodeJob => ({stored: new Uint8Array(0), chunks: [], into: new SharedArrayBuffer(8)});

/** The thread throws while it handles this. */
const fatal = undefined as unknown as DecodeJob;

test('a thread that throws rejects its jobs with its error, and the other threads take the next ones', async () => {
  const threads = start(2);
  expect(await Promise.all([threads.run(job()), threads.run(job())])).toEqual([true, true]);
  await expect(threads.run(fatal)).rejects.toThrow(TypeError);
  expect(await Promise.all([threads.run(job()), threads.run(job())])).toEqual([true, true]);
});

test('jobs fail when no thread is left', async () => {
  const threads = start(1);
  const later = threads.run(fatal);
  const queued = threads.run(job());
  await expect(later).rejects.toThrow(TypeError);
  await expect(queued).rejects.toThrow(TypeError);
  await expect(threads.run(job())).rejects.toThrow(TypeError);
});

test('a job whose memory cannot be sent fails alone', async () => {
  const threads = start(1);
  const unsendable = {...job(), chunks: [() => {}]} as unknown as DecodeJob;
  await expect(threads.run(unsendable)).rejects.toThrow(/could not be cloned/);
  expect(await threads.run(job())).toBe(true);
});

test('terminate rejects unfinished and later jobs', async () => {
  const threads = start(2);
  const unfinished = [threads.run(job()), threads.run(job()), threads.run(job())];
  const settled = Promise.allSettled(unfinished);
  await threads.terminate();
  expect((await settled).map(({status}) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  await expect(threads.run(job())).rejects.toThrow('terminated');
});

test('idle threads do not keep the process alive, busy ones do', () => {
  const file = resolve(import.meta.dirname, '../../src/lib/thread-pool.ts');
  const script = `
    import(${JSON.stringify(file)}).then(async ({ThreadPool}) => {
      const pool = new ThreadPool('decode-thread', ${JSON.stringify(codec)}, {threads: 2});
      console.log(await pool.run({stored: new Uint8Array(0), chunks: [], into: new SharedArrayBuffer(8)}));
    });
  `;
  const {stdout, status} = spawnSync(process.execPath, ['-e', script], {timeout: 30_000});
  expect({stdout: stdout.toString(), status}).toEqual({stdout: 'true\n', status: 0});
});

test('terminate resolves when an answer of the thread is still on its way', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-pool-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  const thread = join(folder, 'answer.js');
  writeFileSync(
    thread,
    `const {pbkdf2Sync} = require('node:crypto');
    const {parentPort} = require('node:worker_threads');
    parentPort.on('message', (answered) => {
      parentPort.postMessage(true);
      Atomics.store(answered, 0, 1);
      Atomics.notify(answered, 0);
      // A native call is not interrupted, so the thread ends after its answer was received.
      pbkdf2Sync('password', 'salt', 500_000, 64, 'sha512');
    });`,
  );
  const file = resolve(import.meta.dirname, '../../src/lib/thread-pool.ts');
  const script = `
    import(${JSON.stringify(file)}).then(async ({ThreadPool}) => {
      const pool = new ThreadPool('answer', ${JSON.stringify(pathToFileURL(thread).href)}, {threads: 1});
      const answered = new Int32Array(new SharedArrayBuffer(4));
      pool.run(answered).catch(() => {});
      Atomics.wait(answered, 0, 0);
      await pool.terminate();
      console.log('ended');
    });
  `;
  const {stdout, status} = spawnSync(process.execPath, ['-e', script], {timeout: 30_000});
  expect({stdout: stdout.toString(), status}).toEqual({stdout: 'ended\n', status: 0});
});
