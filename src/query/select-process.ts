import {writeSync} from 'node:fs';
import {isMainThread, Worker, workerData} from 'node:worker_threads';
import {type Asked, outOfMemory, type Reply} from './apart.ts';
import {attachFiles} from './attached.ts';
import {collect} from './collect.ts';
import {reopenDatabase} from './database.ts';
import {guard} from './guard.ts';

// The process that runs one SELECT, and a thread that kills it at its limits: the statement blocks its own thread.

type Bounds = {
  /** Pid of the parent. When that has ended, no process needs the result. */
  parent: number;
  mostRssBytes: number;
  endsInMs: number;
};

const checkEveryMs = 50;
/** The parent enforces the time limit. This process does so only if the parent does not, this much later. */
const graceMs = 5000;

if (isMainThread) process.once('message', (question) => answer(question as Asked));
else watch(workerData as Bounds);

function answer({database: serialized, query, tables, scalars, limits, parent, files = [], oldTexts}: Asked): void {
  const bounds: Bounds = {
    parent,
    mostRssBytes: process.memoryUsage.rss() + limits.mebibytes * 2 ** 20,
    endsInMs: limits.seconds * 1000 + graceMs,
  };
  new Worker(new URL(import.meta.url), {workerData: bounds}).unref();
  process.send!(rowsOf(), () => process.exit());

  function rowsOf(): Reply {
    try {
      const database = reopenDatabase(serialized, scalars, {attached: files.length, oldTexts});
      attachFiles(database, files);
      guard(database, tables);
      return collect(database.prepare(query), limits);
    } catch (error) {
      const {message, code} = error as Error & {code?: string};
      return {error: {message, code}};
    }
  }
}

function watch({parent, mostRssBytes, endsInMs}: Bounds): void {
  const end = () => process.kill(process.pid, 'SIGKILL');
  setInterval(() => {
    if (process.ppid !== parent) end();
    if (process.memoryUsage.rss() <= mostRssBytes) return;
    try {
      // Not process.stdout, which the blocked main thread writes.
      writeSync(1, outOfMemory);
    } finally {
      end();
    }
  }, checkEveryMs);
  setTimeout(end, endsInMs);
}
