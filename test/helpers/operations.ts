import type {Operation, OperationNumber, OperationOutcome, OperationState} from '../../src/ops/index.ts';

/** 2025-12-26T13:05:24Z */
export const createdAtMicros = 1_766_754_324_000_000;
export const second = 1_000_000;

/** A queued full backup of the collection `shop`, with the changes of a test. */
export function anOperation(changes: Partial<Omit<Operation, 'number'>> & {number?: number} = {}): Operation {
  const {number = 12, ...rest} = changes;
  return {
    number: number as OperationNumber,
    kind: 'fullbackup',
    subject: {kind: 'collection', name: 'shop'},
    shared: false,
    statement: 'BACKUP shop',
    work: null,
    createdBy: 'root',
    createdAtMicros,
    progress: {phase: 'Preparing', bytesDone: 0, itemsDone: 0, percent: 0},
    logFile: '/nowhere/12.log',
    state: {name: 'queued'},
    ...rest,
  };
}

export function running(changes: {cancelRequested?: boolean} = {}): OperationState {
  return {
    name: 'running',
    startedAtMicros: createdAtMicros,
    heartbeatAtMicros: createdAtMicros,
    workerPid: 4711,
    cancelRequested: false,
    ...changes,
  };
}

/** Ended one second after it was created. */
export function done(outcome: OperationOutcome): OperationState {
  return {name: 'done', startedAtMicros: createdAtMicros, endedAtMicros: createdAtMicros + second, outcome};
}

export const transfer = {
  phase: 'TransferData',
  bytesDone: 12_939_428,
  bytesTotal: 104_857_600,
  itemsDone: 1,
  itemsTotal: 4,
  percent: 12.34,
  bytesPerSecond: 5_347_737,
  secondsLeft: 18,
};
