import type {Worker} from 'node:worker_threads';
import type {Home, Settings, StoreAddress} from '../config/index.ts';
import type {Journal, Limits, Operation} from '../ops/index.ts';
import type {ProbePoint, Store} from '../stores/index.ts';
import type {KeeperStart} from './keeper/messages.ts';
import type {KeyChain} from './key-chain.ts';

/** The options that every command takes, before or after its name. */
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
  /** Create the directory if it is missing. */
  create: boolean;
  /** This and what follows is only for object stores. */
  requestsAtOnce?: number;
  lockDays?: number;
  /** Called for each request: the limits may change while the store is open. */
  limits?: () => Limits;
  signal?: AbortSignal;
};

/**
 * All that the application takes from outside; commands/deps.ts adds the streams. compose.ts builds it once, a
 * test its own.
 */
export interface Deps {
  /** With `BKP_HOME` set from `--home`, so that a worker that inherits it finds the same journal. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: GlobalFlags;
  readonly home: Home;
  /** The directory that relative paths of flags, variables and statements start from. */
  readonly cwd: string;
  /** Absolute path of the file that starts bkp, for workers and other processes that run it again. */
  readonly entryFile: string;
  nowMicros(): number;
  /** Opens a store, with the credentials that the settings have for it. */
  openStore(address: StoreAddress, options: StoreOptions): Promise<Store>;
  /** Tests what the store can do, and removes what it wrote for that. */
  probeStore(address: StoreAddress): Promise<readonly ProbePoint[]>;
  /** Opened at the first call, which also records the end of operations whose workers are dead; closed at the end. */
  journal(): Promise<Journal>;
  /** Starts the process that runs a queued operation, and does not wait for it. */
  startWorker(operation: Operation): Promise<void>;
  /**
   * Called before a statement is checked that will start an operation: its process can start meanwhile. Absent in most
   * tests.
   * @returns what ends that process if there is no operation
   */
  prepareWorker?(): () => void;
  /**
   * Sends the notifications of an operation that has ended without a worker, in a process of its own; absent in most
   * tests.
   */
  tellEnd?(operation: Operation): Promise<void>;
  /** Starts the thread of a `Keeper`; absent where there is none, as in most tests. */
  startKeeper?(start: KeeperStart): Worker;
  /** Read at the first call: flags, environment, profile, defaults, in this order. */
  settings(): Promise<Settings>;
  /**
   * The same dependencies with settings that are read again. Shares the journal.
   * @param change another profile, or a store with its keys, which counts as `BKP_STORE` does
   */
  again(change?: {profile?: string | undefined; store?: string | undefined}): Promise<Deps>;
  /**
   * Aborted by the first Ctrl-C or SIGTERM. Until it is read, a signal ends the process as usual; so does every
   * later one.
   */
  readonly signal: AbortSignal;
  /** What this process knows of encrypted vaults; absent: it knows nothing, and asks each time. */
  readonly keyChain?: KeyChain;
  /**
   * Asks on the terminal, never on stdin, and shows nothing of what is typed. Absent, or undefined: there is no
   * terminal.
   */
  askSecret?(question: string): Promise<string | undefined>;
  /** Shows how far a command is that the user waits for; undefined ends that. Absent where nobody watches. */
  readonly showProgress?: ((line: string | undefined) => void) | undefined;
  /** Reports a sentence that is no error to the user. */
  warn(text: string): void;
}
