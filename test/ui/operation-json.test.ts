import {expect, test} from 'vitest';
import type {OperationOutcome} from '../../src/ops/index.ts';
import {renderOperationLine, renderOperationListLine} from '../../src/ui/operation-json.ts';
import {renderOperation} from '../../src/ui/operation-pretty.ts';
import {anOperation, done, running, transfer} from '../helpers/operations.ts';

const error = {code: 'WORKER_DEAD', status: 'ABORTED', message: 'its worker is gone', next: 'try again'};
const failed = anOperation({
  kind: 'incbackup',
  state: done({status: 'ERROR', error, issues: [{message: 'its worker is gone'}], result: {}}),
});
const finished = anOperation({
  progress: {phase: 'TransferData', bytesDone: 9, bytesTotal: 9, itemsDone: 1, percent: 100, bytesPerSecond: 9},
  state: done({status: 'SUCCESS', result: {backup: 'shop/20251226130524Z_full', rows: 3, storedBytes: 9}}),
});
const active = anOperation({state: running(), progress: transfer, backup: 'shop/20251226130524Z_full'});

const own = (operation: typeof active) => JSON.parse(renderOperationLine(operation, 'json'));
const proto = (operation: typeof active) => JSON.parse(renderOperationLine(operation, 'proto-json-base64'));

test('json: a running operation', () => {
  expect(own(active)).toEqual({
    id: 'fullbackup/12',
    kind: 'fullbackup',
    ready: false,
    status: 'PROGRESS',
    progress: {
      phase: 'TransferData',
      percent: 12.34,
      bytesDone: 12_939_428,
      bytesTotal: 104_857_600,
      bytesPerSecond: 5_347_737,
      secondsLeft: 18,
    },
    subject: 'shop',
    statement: 'BACKUP shop',
    issues: [],
    createdBy: 'root',
    createTime: '2025-12-26T13:05:24Z',
    result: {backup: 'shop/20251226130524Z_full'},
  });
});

test('json: what finished has an end and a result, what failed has an issue', () => {
  expect(own(finished)).toMatchObject({
    ready: true,
    status: 'SUCCESS',
    endTime: '2025-12-26T13:05:25Z',
    result: {backup: 'shop/20251226130524Z_full', rows: 3, storedBytes: 9},
  });
  expect(own(finished).progress).toEqual({phase: 'Done', percent: 100, bytesDone: 9, bytesTotal: 9});
  expect(own(failed)).toMatchObject({
    ready: true,
    status: 'ERROR',
    issues: [{message: 'its worker is gone'}],
    result: {},
  });
  expect(own(anOperation({state: done({status: 'ERROR', error, issues: [], result: {}})})).issues).toEqual([
    {message: 'its worker is gone', code: 'WORKER_DEAD', next: 'try again'},
  ]);
});

test('proto-json-base64: the words of the original', () => {
  expect(proto(active)).toEqual({
    id: 'fullbackup/12',
    ready: false,
    status: 'SUCCESS',
    metadata: {
      '@type': 'type.googleapis.com/Ydb.Backup.BackupMetadata',
      progress: 'PROGRESS_TRANSFER_DATA',
      progressPercent: 12.34,
    },
    createTime: '2025-12-26T13:05:24Z',
    createdBy: 'root',
  });
  expect(proto(failed)).toMatchObject({
    ready: true,
    status: 'ABORTED',
    issues: [{message: 'its worker is gone', severity: 1}],
    metadata: {'@type': 'type.googleapis.com/Ydb.Backup.IncrementalBackupMetadata', progress: 'PROGRESS_DONE'},
    endTime: '2025-12-26T13:05:25Z',
  });
});

test.each([
  [anOperation({kind: 'restore'}), 'SUCCESS', 'PROGRESS_PREPARING'],
  [
    anOperation({kind: 'restore', state: running(), progress: {...transfer, phase: 'Indexes'}}),
    'SUCCESS',
    'PROGRESS_TRANSFER_DATA',
  ],
  [anOperation({kind: 'restore', state: running({cancelRequested: true})}), 'SUCCESS', 'PROGRESS_CANCELLATION'],
  [anOperation({kind: 'restore', state: done({status: 'CANCELLED', result: {}})}), 'CANCELLED', 'PROGRESS_CANCELLED'],
])('proto-json-base64: %#', (operation, status, progress) => {
  expect(proto(operation)).toMatchObject({
    status,
    metadata: {'@type': 'type.googleapis.com/Ydb.Backup.RestoreMetadata', progress},
  });
});

test('a page is one line, and its token is text', () => {
  expect(renderOperationListLine({operations: [], nextPage: 0}, 'json')).toBe(
    '{"operations":[],"nextPageToken":"0"}\n',
  );
  const page = renderOperationListLine({operations: [active, failed], nextPage: 3}, 'proto-json-base64');
  expect(page.split('\n')).toHaveLength(2);
  expect(JSON.parse(page)).toMatchObject({
    operations: [{id: 'fullbackup/12'}, {id: 'incbackup/12'}],
    nextPageToken: '3',
  });
});

test('a backup that failed or was cancelled has no name anywhere; what reads one keeps the name of that', () => {
  const backup = 'shop/20251226130524Z_full';
  const outcomes: OperationOutcome[] = [
    {status: 'CANCELLED', result: {}},
    {status: 'ERROR', error, issues: [], result: {}},
  ];
  for (const outcome of outcomes) {
    const state = done(outcome);
    for (const kind of ['fullbackup', 'incbackup', 'dbbackup'] as const) {
      const unmade = anOperation({kind, state, backup});
      expect(own(unmade).result).toEqual({});
      expect(renderOperation(unmade, {terminalColumns: undefined, colors: false})).not.toContain(backup);
    }
    expect(own(anOperation({kind: 'restore', state, backup})).result).toEqual({backup});
  }
});
