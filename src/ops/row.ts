import {join} from 'node:path';
import {assert} from '../errors/index.ts';
import type {Limits, Operation, OperationKind, OperationNumber, OperationOutcome, OperationState} from './operation.ts';
import type {ProcessIdentity} from './processes.ts';

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
  /** The boot in which it was made. */
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
};

export function operationOf(row: Row, logsDir: string): Operation {
  return {
    number: row.number as OperationNumber,
    kind: row.kind as OperationKind,
    subject: row.subject,
    shared: row.shared === 1,
    statement: row.statement,
    work: JSON.parse(row.work),
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
  return limits === null ? {} : {limits: JSON.parse(limits) as Limits};
}

/** Not a column, so that a home can be moved. */
export function logFileOf(row: Pick<Row, 'kind' | 'number'>, logsDir: string): string {
  return join(logsDir, `${row.kind}-${row.number}.log`);
}

/** @returns the process that does the work, or was started to do it; absent when that is not known */
export function workerOf(row: Row): ProcessIdentity | undefined {
  if (row.worker_pid === null) return undefined;
  return {
    pid: row.worker_pid,
    startedAt: row.worker_started_at ?? '',
    boot: row.worker_boot ?? '',
    space: row.worker_space ?? '',
  };
}

function stateOf(row: Row): OperationState {
  switch (row.state) {
    case 'queued':
      return {name: 'queued'};
    case 'running':
      assert(
        row.started_at_micros !== null && row.worker_pid !== null,
        `operation ${row.number} runs without a worker`,
      );
      return {
        name: 'running',
        startedAtMicros: row.started_at_micros,
        heartbeatAtMicros: row.heartbeat_at_micros ?? row.started_at_micros,
        workerPid: row.worker_pid,
        cancelRequested: row.cancel_requested === 1,
      };
    case 'done':
      assert(row.outcome !== null && row.ended_at_micros !== null, `operation ${row.number} ended without an outcome`);
      return {
        name: 'done',
        ...(row.started_at_micros === null ? {} : {startedAtMicros: row.started_at_micros}),
        endedAtMicros: row.ended_at_micros,
        outcome: JSON.parse(row.outcome) as OperationOutcome,
      };
  }
}
