import {Worker} from 'node:worker_threads';

/** Threads hold nothing for long. With more room their collector runs seldom, and what zlib returned lies about till then. */
const resourceLimits = {maxYoungGenerationSizeMb: 2};

/** Runs a file that lies beside this one: as a source here, and built in dist, where scripts/build.js makes one file of it. */
export function startThread(name: 'encoder-thread' | 'decode-thread', workerData?: unknown): Worker {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`${name}.${ending}`, import.meta.url), {workerData, resourceLimits});
}
