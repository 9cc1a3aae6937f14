import {expect, test} from 'vitest';
import {renderOperation, renderOperationList} from '../../src/ui/operation-pretty.ts';
import {anOperation, done, running, transfer} from '../helpers/operations.ts';

test('an empty list is an empty line and the page token', () => {
  expect(renderOperationList({operations: [], nextPage: 0}, {terminalColumns: undefined, colors: false})).toBe(
    '\nNext page token: 0\n',
  );
});

test('a list shows each state', () => {
  const error = {
    code: 'STORE_FULL',
    status: 'UNAVAILABLE',
    message: 'the store is full',
    cause: 'ENOSPC',
    next: 'free 1 GiB',
  };
  const operations = [
    anOperation({number: 5, kind: 'incbackup', state: done({status: 'ERROR', error, issues: [], result: {}})}),
    anOperation({number: 4, kind: 'restore', state: done({status: 'CANCELLED', result: {}})}),
    anOperation({number: 3, state: running(), progress: transfer, backup: 'shop/20251226130524Z_full'}),
    anOperation({number: 2, state: running({cancelRequested: true}), progress: transfer}),
    anOperation({number: 1, kind: 'verify'}),
  ];
  expect(renderOperationList({operations, nextPage: 2}, {terminalColumns: undefined, colors: false})).toBe(`\
┌──────────────┬───────┬───────────┬───────────────────────┐
│ id           │ ready │ status    │ progress              │
├──────────────┼───────┼───────────┼───────────────────────┤
│ incbackup/5  │ true  │ ERROR     │ Done                  │
├╴╴╴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴┤
│ Issues:                                                  │
│   - the store is full                                    │
│     cause: ENOSPC                                        │
│     next:  free 1 GiB                                    │
│ Created by: root                                         │
│ Create time: 2025-12-26T13:05:24Z                        │
│ End time: 2025-12-26T13:05:25Z                           │
├──────────────┬───────┬───────────┬───────────────────────┤
│ restore/4    │ true  │ CANCELLED │ Cancelled             │
├╴╴╴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴┤
│ Created by: root                                         │
│ Create time: 2025-12-26T13:05:24Z                        │
│ End time: 2025-12-26T13:05:25Z                           │
├──────────────┬───────┬───────────┬───────────────────────┤
│ fullbackup/3 │ false │ PROGRESS  │ TransferData (12.34%) │
├╴╴╴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴┤
│ Backup: shop/20251226130524Z_full                        │
│ Created by: root                                         │
│ Create time: 2025-12-26T13:05:24Z                        │
├──────────────┬───────┬───────────┬───────────────────────┤
│ fullbackup/2 │ false │ PROGRESS  │ Cancellation          │
├╴╴╴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴┤
│ Created by: root                                         │
│ Create time: 2025-12-26T13:05:24Z                        │
├──────────────┬───────┬───────────┬───────────────────────┤
│ verify/1     │ false │ PROGRESS  │ Preparing             │
├╴╴╴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴┤
│ Created by: root                                         │
│ Create time: 2025-12-26T13:05:24Z                        │
└──────────────────────────────────────────────────────────┘

Next page token: 2
`);
});

test('a finished operation is a table, its result, an empty line, and no page token', () => {
  const result = {
    backup: 'shop/20251226130524Z_full',
    rows: 7_500_000,
    logicalBytes: 1_073_741_824,
    storedBytes: 402_653_184,
    notices: ['orders has no primary key'],
  };
  expect(
    renderOperation(anOperation({state: done({status: 'SUCCESS', result})}), {terminalColumns: 80, colors: false}),
  ).toBe(`\
┌───────────────┬───────┬─────────┬──────────┐
│ id            │ ready │ status  │ progress │
├───────────────┼───────┼─────────┼──────────┤
│ fullbackup/12 │ true  │ SUCCESS │ Done     │
├╴╴╴╴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴┤
│ Backup: shop/20251226130524Z_full          │
│ Rows: 7,500,000                            │
│ Bytes: 1.0 GiB, 384 MiB stored             │
│ Issues:                                    │
│   - orders has no primary key              │
│ Created by: root                           │
│ Create time: 2025-12-26T13:05:24Z          │
│ End time: 2025-12-26T13:05:25Z             │
└────────────────────────────────────────────┘

`);
});
