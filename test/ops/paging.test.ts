import {DatabaseSync} from 'node:sqlite';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {type Journal, kindsUnder, openJournal, parsePageToken, systemProcesses} from '../../src/ops/index.ts';
import {makeHome, newOperation} from './home.ts';

const home = makeHome();
let journal: Journal;

beforeAll(() => {
  journal = home.open();
});
afterAll(() => home.remove());

const numbers = (page: {operations: readonly {number: number}[]}) => page.operations.map(({number}) => number);

test('an empty journal has an empty first page', () => {
  expect(journal.list({page: 1, pageSize: 10})).toEqual({operations: [], nextPage: 0});
  expect(journal.lastNumber()).toBeUndefined();
});

test('10,000 operations are paged newest first, each once, and the first page is there in a moment', () => {
  for (const kind of ['fullbackup', 'incbackup', 'incbackup', 'restore'] as const) {
    journal.requestCancel(journal.create(newOperation({kind})).number);
  }
  copyAllRows(2_500 - 1);
  expect(journal.lastNumber()).toBe(10_000);

  const seen: number[] = [];
  for (let page = 1; page !== 0; ) {
    const found = journal.list({page, pageSize: 100});
    seen.push(...numbers(found));
    page = found.nextPage;
  }
  expect(seen).toEqual(Array.from({length: 10_000}, (_, at) => 10_000 - at));

  const startedAtMs = performance.now();
  const options = {file: home.file, logsDir: home.logsDir, nowMicros: () => home.clock.nowMicros};
  const another = openJournal({...options, processes: systemProcesses});
  another.reap();
  another.list({page: 1, pageSize: 10});
  another.list({kinds: kindsUnder('incbackup'), page: 1, pageSize: 10});
  const tookMs = performance.now() - startedAtMs;
  another.close();
  // It takes 1 ms; the rest is for a busy machine. Without the indexes it would take over 100.
  expect(tookMs).toBeLessThan(50);
});

/** As often as asked, each copy with numbers of its own; the journal itself would take seconds for so many. */
function copyAllRows(times: number): void {
  const database = new DatabaseSync(home.file);
  database.exec('BEGIN; CREATE TEMP TABLE pattern AS SELECT * FROM operation; UPDATE pattern SET number = NULL');
  const copy = database.prepare('INSERT INTO operation SELECT * FROM pattern ORDER BY rowid');
  for (let at = 0; at < times; at++) copy.run();
  database.exec('COMMIT');
  database.close();
}

test('a listing of kinds has these kinds only', () => {
  const restores = journal.list({kinds: ['restore'], page: 1, pageSize: 3});
  expect(numbers(restores)).toEqual([10_000, 9_996, 9_992]);
  expect(restores.nextPage).toBe(2);
  expect(numbers(journal.list({kinds: kindsUnder('incbackup'), page: 1, pageSize: 4}))).toEqual([
    9999, 9998, 9997, 9995,
  ]);
  expect(journal.list({kinds: ['verify'], page: 1, pageSize: 3})).toEqual({operations: [], nextPage: 0});
});

test('page and size are brought into their bounds, and past the end there is nothing', () => {
  expect(numbers(journal.list({page: 0, pageSize: 2}))).toEqual([10_000, 9_999]);
  expect(journal.list({page: 0, pageSize: 2}).nextPage).toBe(2);
  expect(journal.list({page: 1, pageSize: 1_000}).operations).toHaveLength(100);
  expect(journal.list({page: 1, pageSize: 0}).operations).toHaveLength(1);
  expect(journal.list({page: 100, pageSize: 100}).nextPage).toBe(0);
  for (const page of [101, 1e15, Number.MAX_SAFE_INTEGER, 1e300]) {
    expect(journal.list({page, pageSize: 100})).toEqual({operations: [], nextPage: 0});
  }
});

test('a page token is a number as text', () => {
  expect(parsePageToken()).toBe(1);
  expect(parsePageToken('')).toBe(1);
  expect(parsePageToken('0')).toBe(1);
  expect(parsePageToken('17')).toBe(17);
  for (const text of ['abc', '-1', '1.5', '2x', ' ']) {
    expect(() => parsePageToken(text)).toThrow(
      expect.objectContaining({code: 'BAD_REQUEST', message: 'Unable to parse page token'}),
    );
  }
});
