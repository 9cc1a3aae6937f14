import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {renderErrorJson} from '../../src/errors/index.ts';
import {type OperationOutcome, operationKinds} from '../../src/ops/index.ts';
import {outcomeSchema} from '../../src/ops/journal/row-schemas.ts';
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

const inPart = anOperation({
  kind: 'restore',
  state: done({
    status: 'PARTIAL',
    result: {rows: 3, missing: [{name: 'orders', why: 'a chunk is damaged'}], notices: ['an index was built']},
  }),
});

const own = (operation: typeof active) => JSON.parse(renderOperationLine(operation, 'json'));
const proto = (operation: typeof active) => JSON.parse(renderOperationLine(operation, 'proto-json-base64'));

test('json has the progress of a running operation', () => {
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

test('a partial operation names what is missing and why, and is no success for scripts that read YDB’s form', () => {
  expect(own(inPart)).toMatchObject({
    ready: true,
    status: 'PARTIAL',
    issues: [{message: 'orders is missing: a chunk is damaged'}, {message: 'an index was built'}],
    result: {rows: 3, missing: [{name: 'orders', why: 'a chunk is damaged'}]},
  });
  expect(proto(inPart)).toMatchObject({ready: true, status: 'GENERIC_ERROR'});
});

test('json has end and result of a finished operation, and an issue of a failed one', () => {
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

test('proto-json-base64 uses YDB’s words', () => {
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

test('a page is one line, and its token is a string', () => {
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

test('a failed or cancelled backup has no name in any format; operations that read a backup keep its name', () => {
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

const manual = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');

/** Names in the first column of the table after `after`. */
function documented(after: string): string[] {
  const table = /^\| field \|[^\n]*\n\|[^\n]*\n((?:\|[^\n]*\n)+)/m.exec(manual.slice(manual.indexOf(after)))![1]!;
  const cells = table.split('\n').map((line) => line.split('|')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)).sort();
}

/** Paths of all fields of some objects; for a list, those of its members. */
function fieldsOf(...objects: object[]): string[] {
  const found = new Set<string>();
  const visit = (value: unknown, path: string) => {
    if (Array.isArray(value)) {
      for (const each of value) visit(each, path);
      if (value.length === 0) found.add(path);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) visit(inner, path === '' ? key : `${path}.${key}`);
    } else found.add(path);
  };
  for (const object of objects) visit(object, '');
  return [...found].sort();
}

const lists: Readonly<Record<string, unknown>> = {
  notices: ['n'],
  missing: [{name: 't', why: 'w'}],
  merged: [{name: 't', inserted: 1, updated: 1, deleted: 1, kept: 1}],
};

/** An operation with every field that a result can have. */
const result = Object.fromEntries(
  Object.keys(outcomeSchema.options[0].entries.result.entries).map((name) => [name, lists[name] ?? 1]),
) as unknown as OperationOutcome['result'];
const issue = {message: 'm', code: 'c', cause: 'w', next: 'n'};
const everything = [
  anOperation({state: done({status: 'ERROR', error, issues: [issue], result})}),
  anOperation({state: running(), progress: transfer, limits: {}}),
  anOperation(),
];

test('the documented fields of an operation in JSON are exactly those that exist', () => {
  expect(fieldsOf(...everything.map(own))).toEqual(documented('## JSON'));
  expect(fieldsOf(...everything.map(proto))).toEqual(documented('`--format proto-json-base64` is'));
});

test('the documented fields of an error in JSON are exactly those that exist', () => {
  const full = {code: 'USAGE', status: 'BAD_REQUEST', message: 'm', details: ['d'], cause: 'c', next: 'n', stack: 's'};
  expect(fieldsOf(JSON.parse(renderErrorJson(full)))).toEqual(documented('### Other JSON'));
});

test('every kind of operation is documented', () => {
  const section = manual.slice(manual.indexOf('## Kinds and ids')).split('An id is')[0]!;
  const kinds = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, kind]) => kind);
  expect(kinds.sort()).toEqual([...operationKinds].sort());
});
