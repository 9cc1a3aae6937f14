import {join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import type {Machine, ProcessIdentity} from '../../lib/processes.ts';
import {parsedJson, type Schema} from '../../lib/schema.ts';
import {operationId} from '../kinds.ts';
import type {
  Limits,
  Operation,
  OperationKind,
  OperationNumber,
  OperationOutcome,
  OperationState,
} from '../operation.ts';
import {failure} from '../outcome.ts';
import {parseSubject} from '../subject.ts';
import {anything, limitsSchema, machineSchema, outcomeSchema} from './row-schemas.ts';

/** One row of the journal as SQLite gives it. */
export type Row = {
  number: number;
  kind: string;
  subject: string;
  shared: number;
  statement: string;
  work: string;
  created_by: string;
  created_at_micros: number;
  /** The boot of the machine that created it. */
  created_in: string;
  backup: string | null;
  state: 'queued' | 'running' | 'done';
  worker_pid: number | null;
  worker_started_at: string | null;
  worker_boot: string | null;
  worker_space: string | null;
  started_at_micros: number | null;
  heartbeat_at_micros: number | null;
  cancel_requested: number;
  phase: string;
  bytes_done: number;
  bytes_total: number | null;
  items_done: number;
  items_total: number | null;
  percent: number;
  bytes_per_second: number | null;
  seconds_left: number | null;
  ended_at_micros: number | null;
  outcome: string | null;
  limits: string | null;
  /** JSON of the type Machine; null in what an earlier bkp wrote. */
  worker_machine: string | null;
  created_on: string | null;
};

export function operationOf(row: Row, logsDir: string): Operation {
  return {
    number: row.number as OperationNumber,
    kind: row.kind as OperationKind,
    subject: parseSubject(row.subject),
    shared: row.shared === 1,
    statement: row.statement,
    work: parsedOr(undefined, anything, row.work),
    createdBy: row.created_by,
    createdAtMicros: row.created_at_micros,
    ...(row.backup === null ? {} : {backup: row.backup}),
    progress: {
      phase: row.phase,
      bytesDone: row.bytes_done,
      ...(row.bytes_total === null ? {} : {bytesTotal: row.bytes_total}),
      itemsDone: row.items_done,
      ...(row.items_total === null ? {} : {itemsTotal: row.items_total}),
      percent: row.percent,
      ...(row.bytes_per_second === null ? {} : {bytesPerSecond: row.bytes_per_second}),
      ...(row.seconds_left === null ? {} : {secondsLeft: row.seconds_left}),
    },
    ...limitsOf(row),
    logFile: logFileOf(row, logsDir),
    state: stateOf(row),
  };
}

export function limitsOf({limits}: Pick<Row, 'limits'>): {limits?: Limits} {
  const known = limits === null ? undefined : parsedOr<Limits>(undefined, limitsSchema, limits);
  return known === undefined ? {} : {limits: known};
}

/** A column that does not parse affects only its own row, so that other operations can still be listed. */
function parsedOr<T>(instead: T | undefined, schema: Schema<T>, text: string): T | undefined {
  try {
    return parsedJson(schema, text, (why) => new Error(why));
  } catch {
    return instead;
  }
}

/** Computed rather than stored, so that a home can be moved. */
export function logFileOf(row: Pick<Row, 'kind' | 'number'>, logsDir: string): string {
  return join(logsDir, `${row.kind}-${row.number}.log`);
}

/** @returns the process that does the work, or was started to do it; undefined if not known */
export function workerOf(row: Row): ProcessIdentity | undefined {
  if (row.worker_pid === null) return undefined;
  return {
    pid: row.worker_pid,
    startedAt: row.worker_started_at ?? '',
    boot: row.worker_boot ?? '',
    space: row.worker_space ?? '',
    machine: machineOf(row.worker_machine),
  };
}

/** @returns undefined for a row of an earlier bkp */
export function machineOf(column: string | null): Machine | undefined {
  return column === null ? undefined : parsedOr<Machine>(undefined, machineSchema, column);
}

function stateOf(row: Row): OperationState {
  switch (row.state) {
    case 'queued':
      return {name: 'queued'};
    case 'running':
      return {
        name: 'running',
        startedAtMicros: row.started_at_micros ?? row.created_at_micros,
        heartbeatAtMicros: row.heartbeat_at_micros ?? row.started_at_micros ?? row.created_at_micros,
        workerPid: row.worker_pid ?? 0,
        workerHost: machineOf(row.worker_machine)?.name,
        cancelRequested: row.cancel_requested === 1,
      };
    case 'done':
      return {
        name: 'done',
        ...(row.started_at_micros === null ? {} : {startedAtMicros: row.started_at_micros}),
        endedAtMicros: row.ended_at_micros ?? row.created_at_micros,
        outcome: outcomeOf(row),
      };
  }
}

function outcomeOf({number, kind, outcome}: Row): OperationOutcome {
  const id = operationId({number: number as OperationNumber, kind: kind as OperationKind});
  const damaged = (why: string) =>
    new BkpError('JOURNAL_UNAVAILABLE', `the outcome of ${id} in the journal is not readable`, {
      cause: why,
      next:
        `its log may show the outcome: bkp operation get ${id} --log; ` +
        `bkp operation forget ${id} removes it from the list`,
    });
  try {
    return parsedJson<OperationOutcome>(outcomeSchema, outcome ?? '', damaged);
  } catch (error) {
    return failure(error);
  }
}
