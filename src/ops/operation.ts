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
  'reencrypt',
  'restore',
  'verify',
] as const;
export type OperationKind = (typeof operationKinds)[number];

/** Increases over time, and is unique across all kinds of one journal. */
export type OperationNumber = number & {readonly brand: 'OperationNumber'};

/** Figures of running work. Totals are set when the work is planned, where they are known. */
export type Progress = {
  /** One word for users: `Preparing`, `TransferData`, `Indexes`, `Check`, `Publish`, … */
  phase: string;
  bytesDone: number;
  bytesTotal?: number;
  itemsDone: number;
  itemsTotal?: number;
  /** How much of the whole work is done, 0 to 1, if phases follow that move no bytes. Absent: as the bytes. */
  whole?: number;
};

/** The result of a done operation; a field that does not apply is absent. */
export type OperationResult = {
  /** `shop/20261121120000Z_full` */
  backup?: string;
  rows?: number;
  deletedRows?: number;
  logicalBytes?: number;
  storedBytes?: number;
  freedBytes?: number;
  /** Of a verification: bytes read from the store, and how far all needed bytes were verified at its end. */
  readBytes?: number;
  neededBytes?: number;
  neverVerifiedBytes?: number;
  /** When the least recent of the bytes that were verified was; ISO, UTC. */
  oldestVerifiedAt?: string;
  /** Of a database backup. `cleanup` is how its retention ended; absent if there was nothing to remove. */
  instance?: string;
  files?: number;
  cleanup?: 'complete' | 'failed';
  cleanupError?: string;
  /** Of a restore into tables that exist: what it did with the rows of each, or in a dry run would do. */
  merged?: readonly MergedRows[];
  /** What was asked for and is not delivered, each with the reason; never empty. Work that returns it ends PARTIAL. */
  missing?: readonly MissingPart[];
  /** Faults that a verification found, and other notices for the user; shown as `issues`, also of a success. */
  notices?: readonly string[];
};

/** Rows of a table that came back, were set back, or were removed; `kept`: those that the backup does not have. */
export type MergedRows = {name: string; inserted: number; updated: number; deleted: number; kept: number};

/** `name`: a table, a view; `why`: one sentence. */
export type MissingPart = {name: string; why: string};

export type OperationIssue = {message: string; code?: string; cause?: string; next?: string};

/** Rate limits for traffic to and from object stores; absent: no limit. */
export type Limits = {uploadBytesPerSecond?: number; downloadBytesPerSecond?: number};

/** An absent direction stays as it is; null removes its limit. */
export type LimitsChange = {readonly [Direction in keyof Limits]?: number | null};

/** One row of the journal. Times are microseconds since 1970, UTC. */
export type Operation = {
  number: OperationNumber;
  kind: OperationKind;
  subject: Subject;
  /** Whether it may run at the same time as others on its subject (verify). */
  shared: boolean;
  /** As typed, for users. */
  statement: string;
  /** The work order; parsed by the code that carries it out. Contains no secret. */
  work: unknown;
  createdBy: string;
  createdAtMicros: number;
  /** The backup that it makes (`shop/20261121120000Z_full`), before there is a result; absent if it makes none. */
  backup?: string;
  /** The percentage never decreases, and is 100 only after success. */
  progress: Progress & {percent: number; bytesPerSecond?: number; secondsLeft?: number};
  /** Replace the limits that the work started with; absent until the operation is throttled. */
  limits?: Limits;
  /** Absolute path of the log file. */
  logFile: string;
  state: OperationState;
};

export type OperationState =
  /** No worker has claimed it yet. A cancel ends it immediately. */
  | {name: 'queued'}
  /** The heartbeat shows whether a worker hangs; on this host, only its process shows whether it lives. */
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
  /** Something was delivered, and something is missing: the result names both. */
  | {status: 'PARTIAL'; result: OperationResult & {missing: readonly MissingPart[]}}
  | {status: 'CANCELLED'; result: OperationResult}
  | {status: 'ERROR'; error: PlainError; issues: readonly OperationIssue[]; result: OperationResult};

export type NewOperation = Pick<
  Operation,
  'kind' | 'subject' | 'shared' | 'statement' | 'work' | 'createdBy' | 'backup'
>;

/** Everything that the work of an operation gets. */
export type WorkContext = {
  operation: Operation;
  signal: AbortSignal;
  /** Cheap, may be called for every segment; written to the journal a few times a second. */
  progress: (progress: Progress) => void;
  /** The limits of a throttle, with a delay below a second; undefined until the operation is throttled. */
  limits: () => Limits | undefined;
  /** One line into the operation's log file; never a secret. */
  log: (line: string) => void;
};

/** The work of one operation. Throws to fail; throws anything after `signal` was aborted to end as CANCELLED. */
export type Work = (context: WorkContext) => Promise<OperationResult>;
