import {DatabaseSync} from 'node:sqlite';
import {afterAll, beforeAll, expect, onTestFinished, test, vi} from 'vitest';
import {type Journal, kindsUnder, parsePageToken} from '../../../src/ops/index.ts';
import {makeHome, newOperation} from '../home.ts';

const home = makeHome();
let journal: Journal;

beforeAll(() => {
  journal = home.open();
});
afterAll(() => home.remove());

const numbers = (page: {operations: readonly {number: number}[]}) => page.operations.map(({number}) => number);

test('an empty journal has an empty first page', async () => {
  expect(await journal.list({page: 1, pageSize: 10})).toEqual({operations: [], nextPage: 0});
  expect(await journal.lastNumber()).toBeUndefined();
});

test('10,000 operations are paged newest first, each once', async () => {
  for (const kind of ['fullbackup', 'incbackup', 'incbackup', 'restore'] as const) {
    await journal.requestCancel((await journal.create(newOperation({kind}))).number);
  }
  copyAllRows(2_500 - 1);
  expect(await journal.lastNumber()).toBe(10_000);

  const seen: number[] = [];
  for (let page = 1; page !== 0; ) {
    const found = await journal.list({page, pageSize: 100});
    seen.push(...numbers(found));
    page = found.nextPage;
  }
  expect(seen).toEqual(Array.from({length: 10_000}, (_, at) => 10_000 - at));
});

test('no call reads all operations to find a few', async () => {
  const asked = vi.spyOn(DatabaseSync.prototype, 'prepare');
  onTestFinished(() => asked.mockRestore());
  const another = home.open();
  const {number} = await another.create(newOperation());
  await another.reap();
  await another.open();
  await another.get(number);
  await another.lastNumber();
  await another.list({page: 1, pageSize: 10});
  await another.list({kinds: kindsUnder('incbackup'), page: 1, pageSize: 10});
  await another.requestCancel(number);
  await another.forget(number);
  const statements = asked.mock.calls.map(([sql]) => sql).filter((sql) => /\boperation\b/.test(sql));
  asked.mockRestore();
  expect(statements.length).toBeGreaterThan(6);
  const database = new DatabaseSync(home.file);
  onTestFinished(() => database.close());
  for (const sql of statements) {
    // The newest ones are the end of the table in its own order.
    if (/FROM operation ORDER BY number DESC LIMIT/.test(sql)) continue;
    for (const {detail} of database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all())
      expect(detail, sql).not.toMatch(/^SCAN operation(?! USING INDEX open_ones)/);
  }
});

/** Copies a row `count` times with new numbers; the journal itself would take seconds. */
function copyAllRows(times: number): void {
  const database = new DatabaseSync(home.file);
  database.exec('BEGIN; CREATE TEMP TABLE pattern AS SELECT * FROM operation; UPDATE pattern SET number = NULL');
  const copy = database.prepare('INSERT INTO operation SELECT * FROM pattern ORDER BY rowid');
  for (let at = 0; at < times; at++) copy.run();
  database.exec('COMMIT');
  database.close();
}

test('a list of kinds contains only these kinds', async () => {
  const restores = await journal.list({kinds: ['restore'], page: 1, pageSize: 3});
  expect(numbers(restores)).toEqual([10_000, 9_996, 9_992]);
  expect(restores.nextPage).toBe(2);
  expect(numbers(await journal.list({kinds: kindsUnder('incbackup'), page: 1, pageSize: 4}))).toEqual([
    9999, 9998, 9997, 9995,
  ]);
  expect(await journal.list({kinds: ['verify'], page: 1, pageSize: 3})).toEqual({operations: [], nextPage: 0});
});

test('page and size are clamped, and a page past the end is empty', async () => {
  expect(numbers(await journal.list({page: 0, pageSize: 2}))).toEqual([10_000, 9_999]);
  expect((await journal.list({page: 0, pageSize: 2})).nextPage).toBe(2);
  expect((await journal.list({page: 1, pageSize: 1_000})).operations).toHaveLength(100);
  expect((await journal.list({page: 1, pageSize: 0})).operations).toHaveLength(1);
  expect((await journal.list({page: 100, pageSize: 100})).nextPage).toBe(0);
  for (const page of [101, 1e15, Number.MAX_SAFE_INTEGER, 1e300]) {
    expect(await journal.list({page, pageSize: 100})).toEqual({operations: [], nextPage: 0});
  }
});

test('a page token is a number in text form', () => {
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
