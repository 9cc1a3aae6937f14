import {secondsText} from '../lib/time.ts';
import {
  backupOf,
  issuesOf,
  type Limits,
  type Operation,
  type OperationKind,
  operationId,
  phaseOf,
  resultOf,
  statusOf,
  subjectName,
} from '../ops/index.ts';

export const machineFormats = ['json', 'proto-json-base64'] as const;
export type MachineFormat = (typeof machineFormats)[number];

/** One operation as one line. */
export function renderOperationLine(operation: Operation, format: MachineFormat): string {
  return `${JSON.stringify(plainOf(operation, format))}\n`;
}

/** One page of operations as one line: `{"operations":[…],"nextPageToken":"2"}`. */
export function renderOperationListLine(
  page: {operations: readonly Operation[]; nextPage: number},
  format: MachineFormat,
): string {
  const operations = page.operations.map((operation) => plainOf(operation, format));
  return `${JSON.stringify({operations, nextPageToken: String(page.nextPage)})}\n`;
}

function plainOf(operation: Operation, format: MachineFormat): object {
  return format === 'json' ? ownForm(operation) : protoForm(operation);
}

/**
 * bkp's own form: a contract, described in docs/operations.md; fields are only added.
 * What is undefined is left out of the JSON.
 */
function ownForm(operation: Operation): object {
  const {state, progress} = operation;
  const {notices: _, ...result} = resultOf(operation);
  return {
    id: operationId(operation),
    kind: operation.kind,
    ready: state.name === 'done',
    status: statusOf(operation),
    progress: {
      phase: phaseOf(operation),
      percent: progress.percent,
      bytesDone: progress.bytesDone,
      bytesTotal: progress.bytesTotal,
      ...(state.name === 'done' ? {} : {bytesPerSecond: progress.bytesPerSecond, secondsLeft: progress.secondsLeft}),
    },
    ...(state.name === 'done' || operation.limits === undefined ? {} : {limits: plainLimits(operation.limits)}),
    subject: subjectName(operation.subject),
    statement: operation.statement,
    issues: issuesOf(operation),
    createdBy: operation.createdBy,
    createTime: secondsText(operation.createdAtMicros),
    endTime: state.name === 'done' ? secondsText(state.endedAtMicros) : undefined,
    result: {...result, backup: backupOf(operation)},
  };
}

/** Null means no limit: a throttle has set both directions. */
function plainLimits({uploadBytesPerSecond, downloadBytesPerSecond}: Limits): object {
  return {
    uploadBytesPerSecond: uploadBytesPerSecond ?? null,
    downloadBytesPerSecond: downloadBytesPerSecond ?? null,
  };
}

const metadataTypes: Readonly<Record<OperationKind, string>> = {
  fullbackup: 'Ydb.Backup.BackupMetadata',
  incbackup: 'Ydb.Backup.IncrementalBackupMetadata',
  restore: 'Ydb.Backup.RestoreMetadata',
  verify: 'Bkp.VerifyMetadata',
  cleanup: 'Bkp.CleanupMetadata',
  copy: 'Bkp.CopyMetadata',
  reencrypt: 'Bkp.ReencryptMetadata',
  dbbackup: 'Bkp.DatabaseBackupMetadata',
  dbrestore: 'Bkp.DatabaseRestoreMetadata',
};

/** YDB's form, which its monitoring scripts read; `id`, `ready`, `status` and `metadata` are always present. */
function protoForm(operation: Operation): object {
  const {state} = operation;
  const issues = issuesOf(operation).map(({message}) => ({message, severity: 1}));
  return {
    id: operationId(operation),
    ready: state.name === 'done',
    status: protoStatus(operation),
    issues: issues.length > 0 ? issues : undefined,
    metadata: {
      '@type': `type.googleapis.com/${metadataTypes[operation.kind]}`,
      progress: protoProgress(operation),
      progressPercent: operation.progress.percent,
    },
    createTime: secondsText(operation.createdAtMicros),
    endTime: state.name === 'done' ? secondsText(state.endedAtMicros) : undefined,
    createdBy: operation.createdBy,
  };
}

/**
 * YDB reports a running operation as SUCCESS, and a failed one by its status word. It knows no partial success: what
 * reads SUCCESS must not take a part for the whole.
 */
function protoStatus({state}: Operation): string {
  if (state.name !== 'done') return 'SUCCESS';
  const {outcome} = state;
  if (outcome.status === 'PARTIAL') return 'GENERIC_ERROR';
  return outcome.status === 'ERROR' ? outcome.error.status : outcome.status;
}

const protoPhases: Readonly<Record<string, string>> = {
  Preparing: 'PROGRESS_PREPARING',
  Cancellation: 'PROGRESS_CANCELLATION',
  Cancelled: 'PROGRESS_CANCELLED',
  Done: 'PROGRESS_DONE',
};

function protoProgress(operation: Operation): string {
  // Phases that only bkp has are parts of YDB's transfer.
  return protoPhases[phaseOf(operation)] ?? 'PROGRESS_TRANSFER_DATA';
}
