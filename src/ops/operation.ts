import type {PlainError} from '../errors/index.ts';
import type {Subject} from './subject.ts';

/** In the order `Invalid kind. Use one of: …` prints them. */
export const operationKinds = [
  'cleanup',
  'copy',
  'dbbackup',
  'dbrestore',
  'fullbackup',
  'incbackup',
  'restore',
  'verify',
] as const;
export type OperationKind = (typeof operationKinds)[number];

/** Number of an operation: grows with time, unique over all kinds of one journal. */
export type OperationNumber = number & {readonly brand: 'OperationNumber'};

/** Figures of a running piece of work. Totals are fixed at plan time as far as they are known. */
export type Progress = {
  /** A word for people: `Preparing`, `TransferData`, `Indexes`, `Check`, `Publish`, … */
  phase: string;
  bytesDone: number;
  bytesTotal?: number;
  itemsDone: number;
  itemsTotal?: number;
};

/** What a finished operation has to say; every field is absent when it does not apply. */
export type OperationResult = {
  /** `shop/20261121120000Z_full` */
  backup?: string;
  rows?: number;
  deletedRows?: number;
  logicalBytes?: number;
  storedBytes?: number;
  freedBytes?: number;
  /** Of a database backup: whose it is, and how its retention ended; absent when there was nothing to remove. */
  instance?: string;
  files?: number;
  cleanup?: 'complete' | 'failed';
  cleanupError?: string;
  /** Faults that a verification found, or things the user should know; told in `issues` with the status SUCCESS too. */
  notices?: readonly string[];
};

export type OperationIssue = {message: string; code?: string; cause?: string; next?: string};

/** The most that may go to object stores and come from them; absent: no bound. */
export type Limits = {uploadBytesPerSecond?: number; downloadBytesPerSecond?: number};

/** A direction that is absent stays as it was; null takes its bound away. */
export type LimitsChange = {readonly [Direction in keyof Limits]?: number | null};

/** One row of the journal. Times are microseconds since 1970, UTC. */
export type Operation = {
  number: OperationNumber;
  kind: OperationKind;
  subject: Subject;
  /** True when it may run beside others on its subject (verify). */
  shared: boolean;
  /** As typed, for people. */
  statement: string;
  /** What the worker needs to do it; belongs to the room that does it. Never a secret. */
  work: unknown;
  createdBy: string;
  createdAtMicros: number;
  /** What it is making (`shop/20261121120000Z_full`), as long as there is no result; absent when it makes nothing. */
  backup?: string;
  /** Percent never falls; it is 100 only when done. */
  progress: Progress & {percent: number; bytesPerSecond?: number; secondsLeft?: number};
  /** What a throttle said, instead of the bounds that the work began with; absent when nobody throttled it. */
  limits?: Limits;
  /** Absolute path of the log file. */
  logFile: string;
  state: OperationState;
};

export type OperationState =
  /** No worker has claimed it yet. A cancel ends it at once. */
  | {name: 'queued'}
  /** A heartbeat tells a hung worker from a working one; whether it is alive is told by its process alone. */
  | {
      name: 'running';
      startedAtMicros: number;
      heartbeatAtMicros: number;
      workerPid: number;
      /** Absent for a worker of an earlier bkp. */
      workerHost?: string | undefined;
      cancelRequested: boolean;
    }
  | {name: 'done'; startedAtMicros?: number; endedAtMicros: number; outcome: OperationOutcome};

export type OperationOutcome =
  | {status: 'SUCCESS'; result: OperationResult}
  | {status: 'CANCELLED'; result: OperationResult}
  | {status: 'ERROR'; error: PlainError; issues: readonly OperationIssue[]; result: OperationResult};

export type NewOperation = Pick<
  Operation,
  'kind' | 'subject' | 'shared' | 'statement' | 'work' | 'createdBy' | 'backup'
>;

/** What the work is given, and all it is given. */
export type WorkContext = {
  operation: Operation;
  signal: AbortSignal;
  /** Cheap: may be called for every segment; written to the journal a few times a second. */
  progress: (progress: Progress) => void;
  /** What a throttle said, soon after it did; undefined as long as nobody throttled the operation. */
  limits: () => Limits | undefined;
  /** One line into the operation's log file; never a secret. */
  log: (line: string) => void;
};

/** The work of one operation. Throws to fail; throws anything after `signal` was aborted to end as CANCELLED. */
export type Work = (context: WorkContext) => Promise<OperationResult>;
