import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {afterEach, expect, onTestFinished, test} from 'vitest';
import {ThreadPool} from '../../src/lib/thread-pool.ts';
import type {DecodeJob} from '../../src/vault/codec/decode-threads.ts';

/** A thread answers a job of this kind with true. */
const codec = pathToFileURL(resolve(import.meta.dirname, '../../src/vault/codec/decode-threads.ts')).href;

let pool: ThreadPool<DecodeJob, boolean> | undefined;
afterEach(() => pool?.end());

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

test('end rejects unfinished and later jobs', async () => {
  const threads = start(2);
  const unfinished = [threads.run(job()), threads.run(job()), threads.run(job())];
  const settled = Promise.allSettled(unfinished);
  await threads.end();
  expect((await settled).map(({status}) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  await expect(threads.run(job())).rejects.toThrow('ended');
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

/**
 * Runs a script in a process of its own. It has a pool of one thread, which is in a job that takes half a second, in
 * many steps.
 * @returns also how many jobs came to their end
 */
function within(script: string): {stdout: string; status: number | null; jobs: number} {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-pool-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  const done = join(folder, 'done');
  writeFileSync(done, '');
  const source = (file: string) =>
    JSON.stringify(pathToFileURL(resolve(import.meta.dirname, '../../src/lib', file)).href);
  writeFileSync(
    join(folder, 'slow.js'),
    `import {pbkdf2Sync} from 'node:crypto';
    import {appendFileSync} from 'node:fs';
    import {answerJobs} from ${source('pool-thread.ts')};
    answerJobs((begun) => {
      Atomics.store(begun, 0, 1);
      Atomics.notify(begun, 0);
      for (const end = Date.now() + 500; Date.now() < end; ) pbkdf2Sync('password', 'salt', 100, 64, 'sha512');
      appendFileSync(${JSON.stringify(done)}, '.');
      return true;
    });`,
  );
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  writeFileSync(
    join(folder, 'main.js'),
    `import {ThreadPool} from ${source('thread-pool.ts')};
    const pool = new ThreadPool('slow', import.meta.url, {threads: 1});
    const begun = new Int32Array(new SharedArrayBuffer(4));
    pool.run(begun).catch(() => {});
    Atomics.wait(begun, 0, 0);
    ${script}`,
  );
  const {stdout, status} = spawnSync(process.execPath, [join(folder, 'main.js')], {timeout: 30_000});
  return {stdout: stdout.toString(), status, jobs: readFileSync(done, 'utf8').length};
}

test('end resolves when the thread has ended its job', () => {
  expect(within("await pool.end(); console.log('ended')")).toEqual({stdout: 'ended\n', status: 0, jobs: 1});
});

test('a process that exits while a thread is in a job exits after that job', () => {
  expect(within('process.exit(7)')).toEqual({stdout: '', status: 7, jobs: 1});
});

test('a process that ends its threads and exits at once begins no other job', () => {
  expect(within('pool.run(begun).catch(() => {}); pool.end(); process.exit(7)')).toMatchObject({status: 7, jobs: 1});
});
