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
} from '../../ops/index.ts';
import {type KeepRow, type RenewedRow, type RowState, renewEveryMs, systemClock} from '../../vault/index.ts';
import type {FromKeeper, KeeperCall, ToKeeper} from './keeper-messages.ts';

/** Figures go to the keeper at most so often: it writes them down less often still. */
const tellEveryMs = 50;

type Waiter = {resolve: (state: RowState | undefined) => void; reject: (error: unknown) => void};

/**
 * The work's side of a thread that keeps alive what must be seen to live: the heartbeat in the journal, and leases.
 * One call of a database (a count, an index, a check) can keep the work's own thread busy for many minutes; its timers
 * stand still meanwhile. See keeping.ts for the other side.
 *
 * When the thread ends too early, heartbeats are continued by this one.
 */
export class Keeper implements Heartbeat {
  readonly #thread: Worker;
  readonly #events: HeartbeatEvents;
  readonly #waiting = new Map<number, Waiter>();
  readonly #continueHere: () => Heartbeat;
  #isUp = false;
  #calls = 0;
  #progress: Progress;
  #told: Progress;
  #timer: NodeJS.Timeout | undefined;
  #limits: Operation['limits'];
  #ended = false;
  /** In place of the thread, when that has gone. */
  #own: Heartbeat | undefined;

  constructor(thread: Worker, {journal, operation}: {journal: Journal; operation: Operation}, events: HeartbeatEvents) {
    this.#thread = thread;
    this.#events = events;
    this.#progress = operation.progress;
    this.#told = this.#progress;
    this.#limits = operation.limits;
    this.#continueHere = () => startHeartbeat(journal, operation, events);
    thread.on('message', (message: FromKeeper) => this.#hear(message));
    thread.on('error', (error) => this.#gone(asPlain(error).message));
    thread.on('exit', () => this.#gone('it ended'));
    // After the listeners, which would keep the process.
    thread.unref();
  }

  progress(progress: Progress): void {
    this.#progress = progress;
    // A new phase may begin with a long call: it must be visible before.
    if (this.#own !== undefined) this.#own.progress(progress);
    else if (progress.phase !== this.#told.phase) this.#tell();
    else this.#timer ??= setTimeout(() => this.#tell(), tellEveryMs).unref();
  }

  limits(): Operation['limits'] {
    return this.#own === undefined ? this.#limits : this.#own.limits();
  }

  async stop(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#own !== undefined) return this.#own.stop();
    if (this.#isUp) await this.#call({do: 'end', progress: this.#progress}).catch(() => {});
    else {
      // It was all done before the thread had started.
      const last = this.#continueHere();
      last.progress(this.#progress);
      await last.stop();
    }
    void this.#thread.terminate();
  }

  /** For the leases of a vault in that store. */
  keepRow(store: StoreAddress): KeepRow {
    return (state, here) => {
      if (this.#own !== undefined) return here(state);
      const row = new RemoteRow(state, {here, call: (call) => this.#call(call)});
      // The thread reads it as soon as it is up, whatever this one does meanwhile.
      row.hand(store);
      return row;
    };
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#ended) return;
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
    if (this.#own !== undefined) return Promise.reject(new ThreadGone('it ended before'));
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {resolve, reject});
      // Whoever waits for an answer keeps the process.
      this.#thread.ref();
      this.#send({kind: 'call', id, call});
    });
  }

  #taken(id: number): Waiter | undefined {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#thread.unref();
    return waiter;
  }

  #send(message: ToKeeper): void {
    this.#thread.postMessage(message);
  }

  #gone(why: string): void {
    if (this.#own === undefined && !this.#ended) {
      this.#events.log(`the thread that keeps leases and heartbeats is gone: ${why}`);
      this.#own = this.#continueHere();
      this.#own.progress(this.#progress);
    }
    for (const {reject} of this.#waiting.values()) reject(new ThreadGone(why));
    this.#waiting.clear();
  }
}

class ThreadGone extends Error {}

type RemoteRowDeps = {here: Parameters<KeepRow>[1]; call: (call: KeeperCall) => Promise<RowState | undefined>};

/** A row that the keeper's thread renews. */
class RemoteRow implements RenewedRow {
  readonly #first: RowState;
  readonly #deps: RemoteRowDeps;
  /** When the thread may renew it for the first time: until then all about it is known here, without a question. */
  readonly #untouchedUntilMs: number;
  /** In place of the thread's, when that ended before it renewed anything. */
  #own: RenewedRow | undefined;

  constructor(state: RowState, deps: RemoteRowDeps) {
    this.#first = state;
    this.#deps = deps;
    this.#untouchedUntilMs = state.renewedAtMs + 0.9 * renewEveryMs(state.content);
  }

  hand(store: StoreAddress): void {
    this.#deps.call({do: 'keep', store, state: this.#first}).catch(() => {
      if (this.#isUntouched()) this.#own ??= this.#deps.here(this.#first);
    });
  }

  state({young = false}: {young?: boolean} = {}): Promise<RowState> {
    if (this.#own !== undefined) return this.#own.state({young});
    return this.#isUntouched() ? Promise.resolve(this.#first) : this.#ask({do: 'state', lease: this.#first.id, young});
  }

  stop(): Promise<RowState> {
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
