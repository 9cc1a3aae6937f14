import {storeText} from '../../config/index.ts';
import {type Operation, spawnWorker} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {requireOrder, type WorkOrder} from '../orders/work-order.ts';
import {notifyVariable} from './notify-variables.ts';

/**
 * glibc gives blocks of 128 KiB back to the system when they are freed, and a chunk is about as large: each one then meets pages
 * that are new and must be zeroed first. So what is freed is kept, up to 128 MiB; but not what is larger by far, like the
 * segments of tables: that cost 100 MiB more and saved little. Only glibc reads these (mallopt(3)).
 */
const keepFreedMemory = {
  MALLOC_MMAP_THRESHOLD_: String(256 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(128 * 1024 * 1024),
  MALLOC_TOP_PAD_: String(8 * 1024 * 1024),
};

/** Starts the detached process that carries the operation out; returns without waiting for it to come up. */
export async function launchWorker(
  deps: Pick<Deps, 'journal' | 'env' | 'home' | 'entryFile' | 'settings'>,
  operation: Operation,
): Promise<void> {
  const settings = await deps.settings();
  const {objectStore, sourcePassword, sourceToken} = settings;
  await spawnWorker({
    journal: await deps.journal(),
    operation,
    entry: deps.entryFile,
    args: ['worker', String(operation.number)],
    env: {
      ...keepFreedMemory,
      ...deps.env,
      BKP_HOME: deps.home.dir,
      UV_THREADPOOL_SIZE: String(poolThreads(requireOrder(operation))),
      // The keys as they were when the statement was given, from wherever; only this user's processes can read them there.
      ...(objectStore === undefined ? {} : {BKP_STORE: storeText(objectStore)}),
      ...(sourcePassword === undefined ? {} : {BKP_SOURCE_PASSWORD: sourcePassword}),
      ...(sourceToken === undefined ? {} : {BKP_SOURCE_TOKEN: sourceToken}),
      ...notifyVariable(settings),
    },
    niceness: settings.niceness,
    cwd: deps.home.dir,
  });
}

/** Node's default is 4; what VERIFY decodes runs there, and one thread is left for files. */
function poolThreads({place}: WorkOrder): number {
  return Math.max(4, place.compressionThreads + 1);
}
