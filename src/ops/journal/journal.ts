import {rmSync} from 'node:fs';
import type {SQLInputValue, StatementSync} from 'node:sqlite';
import {BkpError} from '../../errors/index.ts';
import {isSameMachine, type Processes, type ProcessIdentity} from '../../lib/processes.ts';
import {kindsUnder, type OperationRef} from '../kinds.ts';
import type {
  Limits,
  LimitsChange,
  NewOperation,
  Operation,
  OperationKind,
  OperationNumber,
  OperationOutcome,
} from '../operation.ts';
import {failure} from '../outcome.ts';
import {believable, type MeasuredProgress, percentOf} from '../progress.ts';
import {subjectText} from '../subject.ts';
import {deadWorkerError, whyDead} from './dead-workers.ts';
import {guarded, replaced} from './errors.ts';
import {openJournalFile, replacementOf} from './file.ts';
import {pageWindow} from './paging.ts';
import {busy, ended, notFound, unfinished} from './refusals.ts';
import {limitsOf, logFileOf, operationOf, type Row, workerOf} from './row.ts';
import {sql} from './sql.ts';

export type JournalOptions = {
  /** The SQLite file; created with its folder if missing. */
  file: string;
  /** Folder of the log files; created by the process that writes one. */
  logsDir: string;
  nowMicros: () => number;
  processes: Processes;
  /**
   * Called for every operation that this journal ends because its worker is dead, whichever call finds it. Each
   * operation is reported to exactly one process, which cleans up after it.
   */
  onReaped?: (operation: Operation) => void;
};

export type OperationPage = {
  /** Newest first. */
  operations: readonly Operation[];
  /** 0 on the last page. */
  nextPage: number;
};

/**
 * The operations of one home, as all its processes read and write them. Each call leaves the journal consistent however
 * many processes make calls at the same time; two calls in a row are two steps, and other processes act in between.
 * Every call rejects with `JOURNAL_UNAVAILABLE` when the journal cannot be used.
 *
 * Callers that show operations call `reap` first, so that no operation of a dead worker looks open.
 */
export type Journal = {
  /**
   * Adds a queued operation. At most one operation that is not `shared` is open on a subject, also when processes race.
   * Operations of dead workers do not count: they are ended first.
   * @throws BkpError `BUSY` naming the open operation (context `operation`)
   */
  create(wanted: NewOperation): Promise<Operation>;
  /** @throws BkpError `OPERATION_NOT_FOUND` */
  get(number: OperationNumber): Promise<Operation>;
  /**
   * Finds the operation that a user named. A kind in `ref` must match as in a listing of that kind: `incbackup/1` also
   * finds a full backup with number 1, `restore/1` does not.
   * @throws BkpError `OPERATION_NOT_FOUND` with the noun of the kind that the user gave
   */
  find(ref: OperationRef): Promise<Operation>;
  /** @param page counted from 1. `pageSize` is limited to 1 … 100. Without `kinds`: all. */
  list(options: {kinds?: readonly OperationKind[] | undefined; page: number; pageSize: number}): Promise<OperationPage>;
  /** All operations, newest first, in the batches in which they are read. Without `kinds`: of all kinds. */
  batches(kinds?: readonly OperationKind[]): AsyncIterable<readonly Operation[]>;
  /** All operations that are not done, oldest first. */
  open(): Promise<Operation[]>;
  /** Number of the newest operation; undefined if there is none. */
  lastNumber(): Promise<OperationNumber | undefined>;
  /**
   * Ends a queued operation as CANCELLED immediately, asks a running one to stop, and does nothing to a done one.
   * @throws BkpError `OPERATION_NOT_FOUND`
   */
  requestCancel(number: OperationNumber): Promise<void>;
  /**
   * Limits what an open operation sends to object stores and fetches from them. Its worker reads the limits with its
   * next report.
   * @param options.before the limits that the operation started with; until the first throttle they apply to a
   *   direction that `change` does not name
   * @returns the operation with its new limits
   * @throws BkpError `PRECONDITION` when it is done | `OPERATION_NOT_FOUND`
   */
  throttle(number: OperationNumber, options: {change: LimitsChange; before: Limits}): Promise<Operation>;
  /**
   * Removes a done operation and its log file. Its number is not reused.
   * @throws BkpError `PRECONDITION` while it is open | `OPERATION_NOT_FOUND`
   */
  forget(number: OperationNumber): Promise<void>;
  /** Records the process that was started for a queued operation, so that its death is noticed before it claims. */
  assign(number: OperationNumber, pid: number): Promise<void>;
  /**
   * @returns the operation, which runs in this process from now on; undefined if another process has it, or it is done
   *   or forgotten
   */
  claim(number: OperationNumber): Promise<Operation | undefined>;
  /**
   * Writes heartbeat and progress. The percentage never decreases.
   * @returns whether the work must stop (it was cancelled, or another process has ended the operation), and its limits
   */
  report(number: OperationNumber, progress: MeasuredProgress): Promise<{cancelRequested: boolean; limits?: Limits}>;
  /** @returns false if the operation is done already, is forgotten, or was claimed by another process */
  finish(number: OperationNumber, outcome: OperationOutcome): Promise<boolean>;
  /** Adds a notice to a done operation; its status does not change. Does nothing for a forgotten one. */
  addNotice(number: OperationNumber, notice: string): Promise<void>;
  /**
   * Ends operations whose worker is dead, or never claimed them, with an error.
   * @returns the operations that this call has ended
   * @throws BkpError `JOURNAL_UNAVAILABLE` also if the file was cut off since it was opened
   */
  reap(): Promise<Operation[]>;
  /** Synchronous, because the process may be about to exit. */
  close(): void;
};

/** A few MiB of rows. */
const batchSize = 1000;

/**
 * A journal in an SQLite file. Its calls resolve in the tick that makes them, well under a millisecond later.
 * @throws BkpError `NEWER_VERSION` | `JOURNAL_UNAVAILABLE`
 */
export function openJournal({file, logsDir, nowMicros, processes, onReaped}: JournalOptions): Journal {
  const guard = <T>(work: () => T): T => guarded(file, work);
  const database = guard(() => openJournalFile(file));
  const isReplaced = guard(() => replacementOf(file));
  const prepared = new Map<string, StatementSync>();

  /** Runs one statement; prepares it on first use. */
  const rows = (text: string, values: Record<string, SQLInputValue> = {}): Row[] =>
    guard(() => {
      const statement = prepared.get(text) ?? database.prepare(text);
      prepared.set(text, statement);
      // Otherwise one row that was written while the clock was past 2255 (2^53 µs) would make all others unreadable.
      statement.setReadBigInts(true);
      return (statement.all(values) as Record<string, unknown>[]).map(withNumbers);
    });
  const operations = (found: readonly Row[]) => guard(() => found.map((row) => operationOf(row, logsDir)));
  const rowOf = (number: OperationNumber) => rows(sql.get, {number})[0];

  return {
    async create(wanted) {
      const {boot, machine} = columnsOf(processes.self());
      const subject = subjectText(wanted.subject);
      for (;;) {
        reapAll();
        const [created] = operations(
          rows(sql.create, {
            kind: wanted.kind,
            subject,
            shared: Number(wanted.shared),
            statement: wanted.statement,
            work: JSON.stringify(wanted.work ?? null),
            createdBy: wanted.createdBy,
            backup: wanted.backup ?? null,
            now: nowMicros(),
            boot,
            machine,
          }),
        );
        if (created !== undefined) return created;
        const [holder] = operations(rows(sql.holder, {subject}));
        if (holder !== undefined) throw busy(holder);
        // It has ended in between: try again.
      }
    },

    async get(number) {
      return find({number});
    },

    async find(ref) {
      return find(ref);
    },

    async list({kinds, page, pageSize}) {
      const {size, offset} = pageWindow(page, pageSize);
      const window = {limit: size + 1, offset};
      const found =
        kinds === undefined ? rows(sql.list, window) : rows(sql.listKinds, {kinds: JSON.stringify(kinds), ...window});
      return {operations: operations(found.slice(0, size)), nextPage: found.length > size ? Math.max(1, page) + 1 : 0};
    },

    async *batches(kinds) {
      const wanted = kinds === undefined ? null : JSON.stringify(kinds);
      for (let below = Number.MAX_SAFE_INTEGER; ; ) {
        const batch = operations(rows(sql.below, {below, kinds: wanted, limit: batchSize}));
        if (batch.length === 0) return;
        yield batch;
        below = batch.at(-1)!.number;
      }
    },

    open: async () => operations(rows(sql.open)),

    lastNumber: async () => rows(sql.last)[0]?.number as OperationNumber | undefined,

    async requestCancel(number) {
      reapAll();
      const outcome = JSON.stringify({status: 'CANCELLED', result: {}} satisfies OperationOutcome);
      const [asked] = rows(sql.requestCancel, {number, outcome, now: nowMicros()});
      if (asked === undefined) find({number});
    },

    async throttle(number, {change, before}) {
      reapAll();
      const values = {number, change: JSON.stringify(change), before: JSON.stringify(before)};
      const [throttled] = operations(rows(sql.throttle, values));
      if (throttled === undefined) throw ended(find({number}));
      return throttled;
    },

    async forget(number) {
      reapAll();
      const [forgotten] = rows(sql.forget, {number});
      if (forgotten === undefined) throw unfinished(find({number}));
      guard(() => rmSync(logFileOf(forgotten, logsDir), {force: true}));
    },

    async assign(number, pid) {
      const worker = processes.identify(pid);
      if (worker !== undefined) rows(sql.assign, {number, ...columnsOf(worker)});
    },

    async claim(number) {
      return operations(rows(sql.claim, {number, now: nowMicros(), ...columnsOf(processes.self())}))[0];
    },

    async report(number, figures) {
      const progress = believable(figures);
      const [reported] = withoutSync(() =>
        rows(sql.report, {
          number,
          phase: progress.phase,
          bytesDone: progress.bytesDone,
          bytesTotal: progress.bytesTotal ?? null,
          itemsDone: progress.itemsDone,
          itemsTotal: progress.itemsTotal ?? null,
          percent: percentOf(figures),
          bytesPerSecond: progress.bytesPerSecond ?? null,
          secondsLeft: progress.secondsLeft ?? null,
          now: nowMicros(),
        }),
      );
      if (reported === undefined) return {cancelRequested: true};
      return {cancelRequested: reported.cancel_requested === 1, ...guard(() => limitsOf(reported))};
    },

    async finish(number, outcome) {
      const row = rowOf(number);
      // Only the process that has claimed an operation ends it.
      const isOurs = row?.state === 'queued' || (row !== undefined && isSame(workerOf(row), processes.self()));
      return isOurs && end(row, outcome) !== undefined;
    },

    async addNotice(number, notice) {
      rows(sql.addNotice, {number, notice});
    },

    reap: async () => reapAll(),

    close: () => {
      // Closing would write old pages into the file that another process began.
      if (database.isOpen && !isReplaced()) database.close();
    },
  };

  function find(ref: OperationRef): Operation {
    const [row] = 'last' in ref ? rows(sql.last) : rows(sql.get, {number: ref.number});
    const [found] = operations(row === undefined ? [] : [row]);
    if ('last' in ref) {
      if (found === undefined) throw new BkpError('OPERATION_NOT_FOUND', 'there are no operations yet');
      return found;
    }
    const {number, kind} = ref;
    if (found !== undefined && (kind === undefined || kindsUnder(kind).includes(found.kind))) return found;
    throw notFound(number, kind, found);
  }

  /** Has no effect if the state or the worker of the row has changed since it was read. */
  function end(row: Row, outcome: OperationOutcome): Operation | undefined {
    const {number, state, worker_pid: worker} = row;
    const done = outcome.status === 'SUCCESS' ? 100 : 0;
    const values = {number, state, worker, outcome: JSON.stringify(outcome), done, now: nowMicros()};
    return operations(rows(sql.end, values))[0];
  }

  function reapAll(): Operation[] {
    if (guard(isReplaced)) throw replaced(file);
    return rows(sql.open).flatMap((row) => {
      const why = whyDead(row, processes, nowMicros());
      if (why === undefined) return [];
      const reaped = end(row, failure(deadWorkerError(operations([row])[0]!, why)));
      if (reaped === undefined) return [];
      onReaped?.(reaped);
      return [reaped];
    });
  }

  /** Does not wait for the disk: a heartbeat that is lost in a power failure does no harm. */
  function withoutSync<T>(work: () => T): T {
    guard(() => database.exec('PRAGMA synchronous = NORMAL'));
    try {
      return work();
    } finally {
      guard(() => database.exec('PRAGMA synchronous = FULL'));
    }
  }
}

function withNumbers(row: Record<string, unknown>): Row {
  const entries = Object.entries(row).map(([column, value]) => [
    column,
    typeof value === 'bigint' ? Number(value) : value,
  ]);
  return Object.fromEntries(entries) as Row;
}

function columnsOf({pid, startedAt, boot, space, machine}: ProcessIdentity) {
  return {pid, startedAt, boot, space, machine: machine === undefined ? null : JSON.stringify(machine)};
}

function isSame(worker: ProcessIdentity | undefined, self: ProcessIdentity): boolean {
  if (worker === undefined) return false;
  const {pid, startedAt, boot, space, machine} = self;
  const isHere = worker.machine === undefined || machine === undefined || isSameMachine(worker.machine, machine);
  return (
    isHere && worker.pid === pid && worker.startedAt === startedAt && worker.boot === boot && worker.space === space
  );
}
