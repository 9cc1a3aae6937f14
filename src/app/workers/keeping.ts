import {setTimeout as sleep} from 'node:timers/promises';
import type {MessagePort} from 'node:worker_threads';
import type {StoreAddress} from '../../config/index.ts';
import {asPlain, BkpError, unreachable} from '../../errors/index.ts';
import {systemProcesses} from '../../lib/processes.ts';
import {
  type Heartbeat,
  type Journal,
  type Operation,
  type OperationOutcome,
  openJournal,
  openLog,
  type Progress,
  runAtLowPriority,
  startHeartbeat,
  watchForStandstill,
} from '../../ops/index.ts';
import type {Store} from '../../stores/index.ts';
import type {LeaseRow, RowState, VaultKeys} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import type {FromKeeper, KeeperCall, KeeperStart, ToKeeper} from '../keeper/messages.ts';
import {launchCleaner} from './launch-cleaner.ts';

type OpenDeps = () => Promise<Pick<Deps, 'openStore'>>;

/** What the thread has of its process. */
export type KeeperContext = Pick<Deps, 'env' | 'nowMicros'> & {openDeps: OpenDeps};

/**
 * An operation that ends within this time runs at normal priority: beside a busy program, its start alone would take
 * seconds otherwise, and it does not use enough of the processors to be in the way.
 */
const fullSpeedMs = 1_000;

const cancelNotice = 'one long call blocked the worker when it was cancelled, so its process was ended';

/**
 * The thread of a Keeper: writes heartbeats with the last figures that it received, and renews leases, also while the
 * work's own thread is blocked.
 *
 * It forwards a cancel. A thread that is blocked in a call of SQLite cannot be stopped: when it does not reply for some
 * seconds, the process ends itself, which is safe at any time, and a new process removes what it leaves behind.
 */
export async function keep(port: MessagePort, start: KeeperStart, context: KeeperContext): Promise<void> {
  const {nowMicros, env, openDeps} = context;
  const {number, home} = start;
  const journal = openJournal({...home, file: home.journalFile, nowMicros, processes: systemProcesses});
  const operation = await journal.get(number);
  const log = openLog(operation.logFile, nowMicros);
  const rows = new RenewedRows(openDeps);
  const send = (message: FromKeeper) => port.postMessage(message);
  const standstill = onceStarted(() =>
    watchForStandstill(
      () => send({kind: 'ask'}),
      () => endProcess({...start, env}, {journal, operation, log: log.write}),
    ),
  );
  const heartbeat: Heartbeat = startHeartbeat(journal, operation, {
    log: log.write,
    limited: (limits) => send({kind: 'limits', limits}),
    cancel() {
      if (standstill.isStarted()) return;
      standstill.start();
      send({kind: 'cancel'});
    },
  });

  // Not in the work's thread, which one call of SQLite may block.
  const {niceness} = start;
  if (niceness !== undefined) {
    const {state} = operation;
    const workedMs = state.name === 'running' ? (nowMicros() - state.startedAtMicros) / 1_000 : 0;
    setTimeout(() => runAtLowPriority(niceness), Math.max(0, fullSpeedMs - workedMs)).unref();
  }

  const carryOut = async (call: KeeperCall): Promise<RowState | undefined> => {
    switch (call.do) {
      case 'keep':
        return rows.keep(call.store, call.state, call.keys);
      case 'state':
        return (await rows.row(call.lease)).state({young: call.young});
      case 'stop':
        return rows.stop(call.lease);
      case 'end': {
        standstill.stop();
        heartbeat.progress(call.progress satisfies Progress);
        await heartbeat.stop();
        journal.close();
        log.close();
        return undefined;
      }
    }
  };
  port.on('message', (message: ToKeeper) => {
    switch (message.kind) {
      case 'progress':
        heartbeat.progress(message.progress);
        break;
      case 'here':
        standstill.answered();
        break;
      case 'call': {
        const {id, call} = message;
        carryOut(call).then(
          (state) => send({kind: 'reply', id, state}),
          (error) => send({kind: 'failure', id, error: copyable(error)}),
        );
        break;
      }
      default:
        unreachable(message);
    }
  });
  send({kind: 'up'});
}

type Kept = {
  address: StoreAddress;
  keys: VaultKeys | undefined;
  first: RowState;
  timer: NodeJS.Timeout;
  row?: Promise<LeaseRow>;
};

/** The code that renews leases is loaded after this time: most operations have ended by then. */
const loadAfterMs = 5_000;

/** The rows that this thread renews, in stores of its own, which are opened on first use. */
class RenewedRows {
  readonly #openDeps: OpenDeps;
  readonly #rows = new Map<string, Kept>();
  readonly #stores = new Map<string, Promise<Store>>();

  constructor(openDeps: OpenDeps) {
    this.#openDeps = openDeps;
  }

  keep(address: StoreAddress, first: RowState, keys: VaultKeys | undefined): undefined {
    const begin = () => void this.row(first.id);
    const timer = setTimeout(begin, Math.min(loadAfterMs, first.content.ttlMs / 24));
    this.#rows.set(first.id, {address, keys, first, timer});
  }

  row(lease: string): Promise<LeaseRow> {
    const kept = this.#kept(lease);
    clearTimeout(kept.timer);
    kept.row ??= this.#renew(kept);
    return kept.row;
  }

  async stop(lease: string): Promise<RowState> {
    const kept = this.#kept(lease);
    clearTimeout(kept.timer);
    this.#rows.delete(lease);
    return kept.row === undefined ? kept.first : (await kept.row).stop();
  }

  #kept(lease: string): Kept {
    const kept = this.#rows.get(lease);
    if (kept === undefined) throw new Error(`this thread does not renew the lease ${lease}`);
    return kept;
  }

  async #renew({address, keys, first}: Kept): Promise<LeaseRow> {
    const {LeaseRow, sealedStore, systemClock} = await import('../../vault/index.ts');
    const store = async () => {
      const plain = await this.#store(address);
      return keys === undefined ? plain : sealedStore(plain, keys);
    };
    const opened = {
      put: async (...args: Parameters<Store['put']>) => (await store()).put(...args),
      delete: async (...args: Parameters<Store['delete']>) => (await store()).delete(...args),
      async *list(prefix: string) {
        yield* (await store()).list(prefix);
      },
    };
    return new LeaseRow({store: opened, clock: systemClock}, first);
  }

  #store(address: StoreAddress): Promise<Store> {
    const name = JSON.stringify(address);
    const opened = this.#stores.get(name) ?? this.#openDeps().then((deps) => deps.openStore(address, {create: false}));
    this.#stores.set(name, opened);
    // If it could not be opened, the next renewal tries again.
    opened.catch(() => this.#stores.delete(name));
    return opened;
  }
}

/** Between two attempts to write the outcome into the journal. */
const pauseMs = 500;

async function endProcess(
  start: KeeperStart & Pick<Deps, 'env'>,
  {journal, operation, log}: {journal: Journal; operation: Operation; log: (text: string) => void},
): Promise<void> {
  const outcome: OperationOutcome = {status: 'CANCELLED', result: {notices: [cancelNotice]}};
  for (;;) {
    try {
      // False: the work has ended meanwhile, and its outcome counts.
      if (!(await journal.finish(operation.number, outcome))) return;
      break;
    } catch (error) {
      log(`the cancel cannot be written into the journal for now: ${asPlain(error).message}`);
      await sleep(pauseMs);
    }
  }
  log(cancelNotice);
  try {
    await launchCleaner(start, operation);
  } catch (error) {
    log(`what the process leaves behind will not be removed automatically: ${asPlain(error).message}`);
  }
  process.kill(process.pid, 'SIGKILL');
}

function onceStarted(start: () => ReturnType<typeof watchForStandstill>) {
  let started: ReturnType<typeof watchForStandstill> | undefined;
  return {
    isStarted: () => started !== undefined,
    start() {
      started ??= start();
    },
    answered: () => started?.answered(),
    stop: () => started?.stop(),
  };
}

/** Errors lose their own fields when they are copied to another thread. */
function copyable(error: unknown): unknown {
  if (!(error instanceof BkpError)) return {message: String(error)};
  const {code, message, details, next, context, retryable} = error;
  return {
    code,
    message,
    details,
    context,
    retryable,
    cause: asPlain(error).cause,
    ...(next === undefined ? {} : {next}),
  };
}
