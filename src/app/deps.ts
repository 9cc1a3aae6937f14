import type {ReadStream, WriteStream} from 'node:tty';
import type {Worker} from 'node:worker_threads';
import type {Home, Settings, StoreAddress} from '../config/index.ts';
import type {ExitStatus} from '../errors/index.ts';
import type {Journal, Limits, Operation} from '../ops/index.ts';
import type {ProbePoint, Store} from '../stores/index.ts';
import type {KeeperStart} from './keeper/messages.ts';

/** The options that stand before or after any command. */
export type GlobalFlags = {
  source?: string;
  cluster?: string;
  /** An address, or `cluster` or `s3`. */
  store?: string;
  limitUpload?: string;
  limitDownload?: string;
  profile?: string;
  home?: string;
  /** False after `--no-color`. */
  color: boolean;
};

export type StoreOptions = {
  /** Make the directory when it is not there. */
  create: boolean;
  /** The rest is for object stores alone. */
  requestsAtOnce?: number;
  retentionDays?: number;
  /** Asked again and again: bounds may change while the store is open. */
  limits?: () => Limits;
  signal?: AbortSignal;
};

/** All that a command takes from outside. Built once, by the entry file; a test builds its own. */
export interface Deps {
  /** With `BKP_HOME` as `--home` says, so that a worker that inherits it finds the same journal. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: ReadStream;
  /** Results. `isTTY` and `columns` are those of a terminal, or undefined. */
  readonly stdout: WriteStream;
  /** Talk: progress, hints, errors. */
  readonly stderr: WriteStream;
  readonly flags: GlobalFlags;
  /** Whether stdout wants colours. */
  readonly colors: boolean;
  readonly home: Home;
  /** The directory that relative paths of flags, variables and statements start from. */
  readonly cwd: string;
  /** Absolute path of the file that starts bkp: for a worker, or whoever else is to run it again. */
  readonly entryFile: string;
  nowMicros(): number;
  /** Opens a store, with the credentials that the settings have for it. */
  openStore(address: StoreAddress, options: StoreOptions): Promise<Store>;
  /** What the store can do; leaves nothing behind. */
  probeStore(address: StoreAddress): Promise<readonly ProbePoint[]>;
  /** Opened at the first call, after dead workers were told apart from living ones; closed at the end. */
  journal(): Promise<Journal>;
  /** Starts the process that carries a queued operation out, and does not wait for it. */
  startWorker(operation: Operation): Promise<void>;
  /** Starts the thread of a `Keeper`; absent where there is none, as in most tests. */
  startKeeper?(start: KeeperStart): Worker;
  /** Read at the first call: flags, environment, profile, defaults, in this order. */
  settings(): Promise<Settings>;
  /** The same surroundings with settings that are read anew, those of `profile` when it is named. The journal is shared. */
  again(profile?: string): Promise<Deps>;
  /**
   * Aborted by the first Ctrl-C (or SIGTERM). Who never reads it is ended by the signal as usual;
   * after the first one, so is everybody.
   */
  readonly signal: AbortSignal;
  /**
   * Runs `work` in surroundings whose `signal` is the first Ctrl-C from now on, and whose settings are read anew. For
   * what goes on after a Ctrl-C, a prompt. The second one while the work lasts ends the process.
   */
  interruptible<T>(work: (deps: Deps) => Promise<T>): Promise<T>;
  /** The exit status of the process when the command has ended without an error; `done` when never called. */
  exitWith(status: ExitStatus): void;
}
