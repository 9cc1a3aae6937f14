import type {Worker} from 'node:worker_threads';
import type {StoreAddress} from '../../config/index.ts';
import {asPlain, BkpError, unreachable} from '../../errors/index.ts';
import {
  type Heartbeat,
  type HeartbeatEvents,
  type Journal,
  type Operation,
  type Progress,
  startHeartbeat,
  type ThreadHeartbeat,
} from '../../ops/index.ts';
import {
  type KeepRow,
  type LeaseRow,
  type RenewedRow,
  type RowState,
  renewEveryMs,
  systemClock,
} from '../../vault/index.ts';
import type {FromKeeper, KeeperCall, ToKeeper} from './messages.ts';

/** Figures go to the keeper at most so often: it writes them down less often still. */
const tellEveryMs = 50;

type Waiter = {resolve: (state: RowState | undefined) => void; reject: (error: unknown) => void};

/** A thread takes some 60 ms of CPU to start and 14 MiB: most of what is done in less than this is done without one. */
const startAfterMs = 1_000;

/** An index computes what its expressions say, however few rows there are. */
const phaseOfIndexes = 'Indexes';

/** SQLite counts, sorts and checks so much within a second or two; beyond it one call may last for minutes. */
export const muchBytes = 64 * 1024 * 1024;

type KeptWork = {journal: Journal; operation: Operation; startThread: () => Worker};

/**
 * The work's side of a thread that keeps alive what must be seen to live: the heartbeat in the journal, and leases.
 * One call of a database (a count, an index, a check) can keep the work's own thread busy for many minutes; its timers
 * stand still meanwhile. See keeping.ts for the other side.
 *
 * The thread is started when the work lasts, or is about to make a call that may last. Before, and when the thread ends too
 * early, this one does it all.
 */
export class Keeper implements Heartbeat {
  readonly #events: HeartbeatEvents;
  readonly #waiting = new Map<number, Waiter>();
  readonly #rows = new Set<KeptRow>();
  readonly #startThread: () => Worker;
  readonly #beatHere: () => ThreadHeartbeat;
  readonly #startTimer: NodeJS.Timeout;
  #thread: Worker | undefined;
  #isUp = false;
  #calls = 0;
  #progress: Progress;
  #told: Progress;
  #timer: NodeJS.Timeout | undefined;
  #limits: Operation['limits'];
  #ended = false;
  /** While there is no thread. */
  #own: ThreadHeartbeat | undefined;

  constructor({journal, operation, startThread}: KeptWork, events: HeartbeatEvents) {
    this.#events = events;
    this.#startThread = startThread;
    this.#progress = operation.progress;
    this.#told = this.#progress;
    this.#limits = operation.limits;
    this.#beatHere = () => startHeartbeat(journal, operation, events);
    this.#own = this.#beatHere();
    this.#startTimer = setTimeout(() => this.start(), startAfterMs).unref();
  }

  /** Before a call that may last; nothing that comes after it in this thread is needed for the other one to take over. */
  start(): void {
    if (this.#thread !== undefined || this.#ended) return;
    clearTimeout(this.#startTimer);
    const thread = this.#startThread();
    this.#thread = thread;
    this.#limits = this.#own?.limits();
    this.#own?.release();
    this.#own = undefined;
    thread.on('message', (message: FromKeeper) => this.#hear(message));
    thread.on('error', (error) => this.#gone(asPlain(error).message));
    thread.on('exit', () => this.#gone('it ended'));
    // After the listeners, which would keep the process.
    thread.unref();
    this.#tell();
    for (const row of this.#rows) row.hand();
  }

  progress(progress: Progress): void {
    this.#progress = progress;
    if (progress.phase === phaseOfIndexes || (progress.bytesTotal ?? 0) >= muchBytes) this.start();
    if (this.#own !== undefined) this.#own.progress(progress);
    // A new phase may begin with a long call: it must be visible before.
    else if (progress.phase !== this.#told.phase) this.#tell();
    else this.#timer ??= setTimeout(() => this.#tell(), tellEveryMs).unref();
  }

  limits(): Operation['limits'] {
    return this.#own === undefined ? this.#limits : this.#own.limits();
  }

  async stop(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#startTimer);
    clearTimeout(this.#timer);
    if (this.#own !== undefined) return this.#own.stop();
    if (this.#isUp) await this.#call({do: 'end', progress: this.#progress}).catch(() => {});
    else {
      // It was all done before the thread was up.
      const last = this.#beatHere();
      last.progress(this.#progress);
      await last.stop();
    }
    void this.#thread?.terminate();
  }

  /** For the leases of a vault in that store. */
  keepRow(store: StoreAddress): KeepRow {
    return (state, here) => {
      const forget = () => this.#rows.delete(row);
      const row = new KeptRow(here(state), {store, here, forget, call: (call) => this.#call(call)});
      this.#rows.add(row);
      if (this.#own === undefined) row.hand();
      return row;
    };
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#ended || this.#own !== undefined) return;
    this.#told = this.#progress;
    this.#send({kind: 'progress', progress: this.#progress});
  }

  #hear(message: FromKeeper): void {
    switch (message.kind) {
      case 'up':
        this.#isUp = true;
        break;
      case 'cancel':
        this.#events.cancel();
        break;
      case 'limits':
        this.#limits = message.limits;
        break;
      case 'ask':
        this.#send({kind: 'here'});
        break;
      case 'answer':
        this.#taken(message.id)?.resolve(message.state);
        break;
      case 'refusal':
        this.#taken(message.id)?.reject(revived(message.error));
        break;
      default:
        unreachable(message);
    }
  }

  #call(call: KeeperCall): Promise<RowState | undefined> {
    const thread = this.#thread;
    if (this.#own !== undefined || thread === undefined) return Promise.reject(new ThreadGone('it ended before'));
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {resolve, reject});
      // Whoever waits for an answer keeps the process.
      thread.ref();
      this.#send({kind: 'call', id, call});
    });
  }

  #taken(id: number): Waiter | undefined {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#thread?.unref();
    return waiter;
  }

  #send(message: ToKeeper): void {
    this.#thread?.postMessage(message);
  }

  #gone(why: string): void {
    if (this.#own === undefined && !this.#ended) {
      this.#events.log(`the thread that keeps leases and heartbeats is gone: ${why}`);
      this.#own = this.#beatHere();
      this.#own.progress(this.#progress);
    }
    for (const {reject} of this.#waiting.values()) reject(new ThreadGone(why));
    this.#waiting.clear();
  }
}

class ThreadGone extends Error {}

type KeptRowDeps = {
  store: StoreAddress;
  here: Parameters<KeepRow>[1];
  /** It needs no more keeping. */
  forget: () => void;
  call: (call: KeeperCall) => Promise<RowState | undefined>;
};

/** A row that this thread renews, and from {@link hand} on the keeper's. */
class KeptRow implements RenewedRow {
  readonly #deps: KeptRowDeps;
  /** While this thread renews it. */
  #own: LeaseRow | undefined;
  /** As it was handed over. */
  #first!: RowState;
  /** When the other thread may renew it for the first time: until then all about it is known here, without a question. */
  #untouchedUntilMs = 0;

  constructor(own: LeaseRow, deps: KeptRowDeps) {
    this.#own = own;
    this.#deps = deps;
  }

  /** The other thread reads it as soon as it is up, whatever this one does meanwhile. */
  hand(): void {
    const {store, here, call} = this.#deps;
    const state = this.#own!.handOver();
    this.#own = undefined;
    this.#first = state;
    this.#untouchedUntilMs = systemClock.monotonicMs() + 0.9 * renewEveryMs(state.content);
    call({do: 'keep', store, state}).catch(() => {
      if (this.#isUntouched()) this.#own ??= here(state);
    });
  }

  state({young = false}: {young?: boolean} = {}): Promise<RowState> {
    if (this.#own !== undefined) return this.#own.state({young});
    const {id: lease, renewedAtMs, content} = this.#first;
    const isYoung = systemClock.monotonicMs() - renewedAtMs < renewEveryMs(content);
    if (this.#isUntouched() && (isYoung || !young)) return Promise.resolve(this.#first);
    // From now on it may be renewed at any time.
    this.#untouchedUntilMs = 0;
    return this.#ask({do: 'state', lease, young});
  }

  stop(): Promise<RowState> {
    this.#deps.forget();
    if (this.#own !== undefined) return this.#own.stop();
    const asked = this.#ask({do: 'stop', lease: this.#first.id});
    if (!this.#isUntouched()) return asked;
    asked.catch(() => {});
    return Promise.resolve(this.#first);
  }

  #isUntouched(): boolean {
    return systemClock.monotonicMs() < this.#untouchedUntilMs;
  }

  async #ask(call: KeeperCall): Promise<RowState> {
    try {
      return (await this.#deps.call(call))!;
    } catch (error) {
      if (!(error instanceof ThreadGone)) throw error;
      throw new BkpError('VAULT_LOCKED', `the lease for ${this.#first.content.purpose} was lost`, {
        cause: `the thread that renewed it is gone: ${error.message}`,
        next: 'start it again; what was written already is found and used again',
        retryable: true,
      });
    }
  }
}

/** An error of the other thread: a copy of it is a plain object, or an error of no class of ours. */
function revived(error: unknown): unknown {
  const {code, message, ...rest} = error as BkpError;
  return code === undefined ? new Error(message) : new BkpError(code, message, rest as object);
}
