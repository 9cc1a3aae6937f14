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
  type VaultKeys,
} from '../../vault/index.ts';
import type {FromKeeper, KeeperCall, ToKeeper} from './messages.ts';

/** At most this often figures are sent to the keeper's thread, which writes them still less often. */
const sendEveryMs = 50;

type Waiter = {resolve: (state: RowState | undefined) => void; reject: (error: unknown) => void};

/** Starting a thread costs some 60 ms of CPU and 14 MiB; most operations that take less time than this do without. */
const usualStartAfterMs = 1_000;

/** An index on expressions can take long to build, however few rows there are. */
const phaseOfIndexes = 'Indexes';

/** SQLite counts, sorts and checks this much in a second or two; with more, one call may take minutes. */
const muchBytes = 64 * 1024 * 1024;

/** One call can take many tables or files: creating triggers on thousands of tables takes a minute beside a load. */
const manyItems = 100;

type KeptWork = {
  journal: Journal;
  operation: Operation;
  startThread: () => Worker;
  /** Default: {@link usualStartAfterMs}. */
  startAfterMs?: number | undefined;
};

/**
 * The work's side of a thread that writes the heartbeat into the journal and renews leases. One database call (a count,
 * an index, a check) can block the work's own thread for many minutes, and its timers with it. The thread's side is in
 * workers/keeping.ts.
 *
 * The thread is started once the work takes longer, or before a call that may take long. Until then, and if the thread
 * ends too early, the work's own thread does both.
 */
export class Keeper implements Heartbeat {
  readonly #events: HeartbeatEvents;
  readonly #waiting = new Map<number, Waiter>();
  readonly #rows = new Set<KeptRow>();
  readonly #startThread: () => Worker;
  readonly #beatHere: () => ThreadHeartbeat;
  readonly #startTimer: NodeJS.Timeout;
  readonly #startAtMs: number;
  #thread: Worker | undefined;
  #isUp = false;
  #calls = 0;
  #progress: Progress;
  #sent: Progress;
  #timer: NodeJS.Timeout | undefined;
  #limits: Operation['limits'];
  #ended = false;
  /** The heartbeat of this thread, while the other one does not run. */
  #own: ThreadHeartbeat | undefined;

  constructor(work: KeptWork, events: HeartbeatEvents) {
    const {journal, operation, startThread, startAfterMs = usualStartAfterMs} = work;
    this.#events = events;
    this.#startThread = startThread;
    this.#progress = operation.progress;
    this.#sent = this.#progress;
    this.#limits = operation.limits;
    this.#beatHere = () => startHeartbeat(journal, operation, events);
    this.#own = this.#beatHere();
    this.#startAtMs = performance.now() + startAfterMs;
    this.#startTimer = setTimeout(() => this.start(), startAfterMs).unref();
  }

  /** To be called before a call that may take long: the thread takes over even if this one is blocked from here on. */
  start(): void {
    if (this.#thread !== undefined || this.#ended) return;
    clearTimeout(this.#startTimer);
    const thread = this.#startThread();
    this.#thread = thread;
    this.#limits = this.#own?.limits();
    this.#own?.release();
    this.#own = undefined;
    thread.on('message', (message: FromKeeper) => this.#receive(message));
    thread.on('error', (error) => this.#threadEnded(asPlain(error).message));
    thread.on('exit', () => this.#threadEnded('it ended'));
    // After adding the listeners, because they keep the process alive.
    thread.unref();
    this.#sendProgress();
    for (const row of this.#rows) row.handOver();
  }

  progress(progress: Progress): void {
    this.#progress = progress;
    const isMuch = (progress.bytesTotal ?? 0) >= muchBytes || (progress.itemsTotal ?? 0) >= manyItems;
    // Work that gives no timer a turn reports figures between its calls.
    const isLate = performance.now() >= this.#startAtMs;
    if (progress.phase === phaseOfIndexes || isMuch || isLate) this.start();
    if (this.#own !== undefined) this.#own.progress(progress);
    // Sent immediately, because a new phase may start with a long call.
    else if (progress.phase !== this.#sent.phase) this.#sendProgress();
    else this.#timer ??= setTimeout(() => this.#sendProgress(), sendEveryMs).unref();
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
      // The work ended before the thread was up.
      const last = this.#beatHere();
      last.progress(this.#progress);
      await last.stop();
    }
    void this.#thread?.terminate();
  }

  /** Renews the leases of a vault in that store. */
  keepRow(store: StoreAddress, keys: VaultKeys | undefined): KeepRow {
    return (state, here) => {
      const forget = () => this.#rows.delete(row);
      const row = new KeptRow(here(state), {store, keys, here, forget, call: (call) => this.#call(call)});
      this.#rows.add(row);
      if (this.#own === undefined) row.handOver();
      return row;
    };
  }

  #sendProgress(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#ended || this.#own !== undefined) return;
    this.#sent = this.#progress;
    this.#send({kind: 'progress', progress: this.#progress});
  }

  #receive(message: FromKeeper): void {
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
      case 'reply':
        this.#takeWaiter(message.id)?.resolve(message.state);
        break;
      case 'failure':
        this.#takeWaiter(message.id)?.reject(revived(message.error));
        break;
      default:
        unreachable(message);
    }
  }

  #call(call: KeeperCall): Promise<RowState | undefined> {
    const thread = this.#thread;
    if (this.#own !== undefined || thread === undefined) return Promise.reject(new ThreadEnded('it had ended already'));
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {resolve, reject});
      // A pending call keeps the process alive.
      thread.ref();
      this.#send({kind: 'call', id, call});
    });
  }

  #takeWaiter(id: number): Waiter | undefined {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#thread?.unref();
    return waiter;
  }

  #send(message: ToKeeper): void {
    this.#thread?.postMessage(message);
  }

  #threadEnded(why: string): void {
    if (this.#own === undefined && !this.#ended) {
      this.#events.log(`the thread that renews leases and writes heartbeats has ended: ${why}`);
      this.#own = this.#beatHere();
      this.#own.progress(this.#progress);
    }
    for (const {reject} of this.#waiting.values()) reject(new ThreadEnded(why));
    this.#waiting.clear();
  }
}

class ThreadEnded extends Error {}

type KeptRowDeps = {
  store: StoreAddress;
  keys: VaultKeys | undefined;
  here: Parameters<KeepRow>[1];
  /** Called when the row needs no more renewals. */
  forget: () => void;
  call: (call: KeeperCall) => Promise<RowState | undefined>;
};

/** A row that this thread renews; after {@link handOver}, the keeper's thread does. */
class KeptRow implements RenewedRow {
  readonly #deps: KeptRowDeps;
  /** Set while this thread renews the row. */
  #own: LeaseRow | undefined;
  /** The state that was handed over. */
  #first!: RowState;
  /** The other thread renews the row after this time at the earliest; until then `#first` is its state. */
  #untouchedUntilMs = 0;

  constructor(own: LeaseRow, deps: KeptRowDeps) {
    this.#own = own;
    this.#deps = deps;
  }

  /** The other thread receives the row as soon as it is up, even if this one is blocked. */
  handOver(): void {
    const {store, keys, here, call} = this.#deps;
    const state = this.#own!.handOver();
    this.#own = undefined;
    this.#first = state;
    this.#untouchedUntilMs = systemClock.monotonicMs() + 0.9 * renewEveryMs(state.content);
    call({do: 'keep', store, state, ...(keys === undefined ? {} : {keys})}).catch(() => {
      if (this.#isUntouched()) this.#own ??= here(state);
    });
  }

  state({young = false}: {young?: boolean} = {}): Promise<RowState> {
    if (this.#own !== undefined) return this.#own.state({young});
    const {id: lease, renewedAtMs, content} = this.#first;
    const isYoung = systemClock.monotonicMs() - renewedAtMs < renewEveryMs(content);
    if (this.#isUntouched() && (isYoung || !young)) return Promise.resolve(this.#first);
    // From now on the other thread may renew it at any time.
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
      if (!(error instanceof ThreadEnded)) throw error;
      throw new BkpError('VAULT_LOCKED', `the lease for ${this.#first.content.purpose} was lost`, {
        cause: `the thread that renewed it has ended: ${error.message}`,
        next: 'give the statement again; data that was written already is reused',
        retryable: true,
      });
    }
  }
}

/** Restores an error of the other thread: errors lose their class when they are copied between threads. */
function revived(error: unknown): unknown {
  const {code, message, ...rest} = error as BkpError;
  return code === undefined ? new Error(message) : new BkpError(code, message, rest as object);
}
