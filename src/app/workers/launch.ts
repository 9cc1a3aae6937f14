import {statSync} from 'node:fs';
import {type Settings, storeText} from '../../config/index.ts';
import {isUrgentKind, type Operation, spawnWorker, WaitingWorker} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {notifyVariable} from './notify-variables.ts';
import {workerInput} from './worker-input.ts';

/**
 * glibc returns freed blocks of 128 KiB to the system, and a chunk is about that large: each new chunk then
 * gets new pages, which the kernel must zero. So the worker keeps up to 128 MiB of freed memory; but not much
 * larger blocks, such as the segments of tables: that cost 100 MiB more and saved little. Each thread would keep
 * blocks of its own: with two arenas for all of them, what one thread freed serves the others. Only glibc reads these
 * variables (mallopt(3)).
 */
const keepFreedMemory = {
  MALLOC_MMAP_THRESHOLD_: String(256 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(128 * 1024 * 1024),
  MALLOC_TOP_PAD_: String(8 * 1024 * 1024),
  MALLOC_ARENA_MAX: '2',
};

type WorkerDeps = Pick<Deps, 'journal' | 'env' | 'home' | 'entryFile' | 'settings' | 'keyChain'>;

/**
 * Starts a worker that waits for its operation, so that Node and bkp load while the statement is still being checked.
 * @returns undefined where no operation ran yet: a statement that is refused there leaves nothing behind
 */
export async function prepareWorker(deps: WorkerDeps): Promise<WaitingWorker | undefined> {
  return statSync(deps.home.logsDir, {throwIfNoEntry: false}) === undefined ? undefined : startWaiting(deps);
}

/**
 * Starts the detached process that carries out the operation, and does not wait until it is up.
 * @param prepared a worker that waits already; if that could not be started, another attempt says why
 */
export async function launchWorker(
  deps: WorkerDeps,
  operation: Operation,
  prepared?: Promise<WaitingWorker | undefined>,
): Promise<void> {
  const {niceness} = await deps.settings();
  const {number, kind} = operation;
  await spawnWorker({
    journal: await deps.journal(),
    operation,
    worker: async () => (await prepared?.catch(() => undefined)) ?? (await startWaiting(deps)),
    input: workerInput({
      number,
      niceness: niceness === 0 || isUrgentKind(kind) ? undefined : niceness,
      slots: Object.fromEntries(deps.keyChain?.slots ?? []),
    }),
  });
}

async function startWaiting({settings, env, home, entryFile}: WorkerDeps): Promise<WaitingWorker> {
  const known = await settings();
  const {objectStore, sourcePassword, sourceToken} = known;
  return WaitingWorker.start({
    entry: entryFile,
    args: ['worker', '--log'],
    env: {
      ...keepFreedMemory,
      ...env,
      BKP_HOME: home.dir,
      UV_THREADPOOL_SIZE: String(poolThreads(known)),
      // The keys that applied when the statement was given; only processes of this user can read an environment.
      ...(objectStore === undefined ? {} : {BKP_STORE: storeText(objectStore)}),
      ...(sourcePassword === undefined ? {} : {BKP_SOURCE_PASSWORD: sourcePassword}),
      ...(sourceToken === undefined ? {} : {BKP_SOURCE_TOKEN: sourceToken}),
      ...notifyVariable(known),
    },
    cwd: home.dir,
    logsDir: home.logsDir,
  });
}

/** Node's default is 4. VERIFY decodes in this pool, and one thread is left for files. */
const poolThreads = ({compressionThreads}: Settings) => Math.max(4, compressionThreads + 1);
