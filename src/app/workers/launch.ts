import {type Settings, storeText} from '../../config/index.ts';
import {isUrgentKind, type Operation, spawnWorker} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {requireOrder, type WorkOrder} from '../orders/work-order.ts';
import {notifyVariable} from './notify-variables.ts';

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

/** Starts the detached process that carries out the operation, and does not wait until it is up. */
export async function launchWorker(
  deps: Pick<Deps, 'journal' | 'env' | 'home' | 'entryFile' | 'settings' | 'keyChain'>,
  operation: Operation,
): Promise<void> {
  const settings = await deps.settings();
  const {objectStore, sourcePassword, sourceToken} = settings;
  const slots = slotsFor(deps.keyChain);
  await spawnWorker({
    journal: await deps.journal(),
    operation,
    entry: deps.entryFile,
    args: [
      'worker',
      String(operation.number),
      ...(isUrgentKind(operation.kind) ? [] : lowPriority(settings)),
      ...(slots === undefined ? [] : ['--keys']),
    ],
    input: slots,
    env: {
      ...keepFreedMemory,
      ...deps.env,
      BKP_HOME: deps.home.dir,
      UV_THREADPOOL_SIZE: String(poolThreads(requireOrder(operation))),
      // The keys that applied when the statement was given; only processes of this user can read an environment.
      ...(objectStore === undefined ? {} : {BKP_STORE: storeText(objectStore)}),
      ...(sourcePassword === undefined ? {} : {BKP_SOURCE_PASSWORD: sourcePassword}),
      ...(sourceToken === undefined ? {} : {BKP_SOURCE_TOKEN: sourceToken}),
      ...notifyVariable(settings),
    },
    cwd: deps.home.dir,
  });
}

const lowPriority = ({niceness}: Settings) => (niceness === 0 ? [] : ['--niceness', String(niceness)]);

/** Node's default is 4. VERIFY decodes in this pool, and one thread is left for files. */
function poolThreads({place}: WorkOrder): number {
  return Math.max(4, place.compressionThreads + 1);
}

/** What opens the encrypted vaults of this process, as JSON; undefined if there are none. */
function slotsFor(keyChain: Deps['keyChain']): string | undefined {
  if (keyChain === undefined || keyChain.slots.size === 0) return undefined;
  return JSON.stringify(Object.fromEntries(keyChain.slots));
}
