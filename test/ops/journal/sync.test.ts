import {DatabaseSync, StatementSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {OperationNumber} from '../../../src/ops/index.ts';
import {makeHome, newOperation, type TestHome} from '../home.ts';

// What the journal confirmed must survive a power failure. With a write-ahead log, SQLite syncs each commit only at
// `synchronous` 2 (FULL); at 1 the last commits may be lost, which is acceptable only for a heartbeat.

const full = 2;
const normal = 1;

let home: TestHome;
let putBack: () => void;
/** Each change of the journal with the mode that it was made in. */
let changes: {sql: string; synchronous: number}[];

beforeEach(() => {
  home = makeHome();
  changes = [];
  const databases = new WeakMap<StatementSync, DatabaseSync>();
  const {prepare} = DatabaseSync.prototype;
  const {run, all, get} = StatementSync.prototype;
  DatabaseSync.prototype.prepare = function (sql, ...rest) {
    const statement = Reflect.apply(prepare, this, [sql, ...rest]);
    databases.set(statement, this);
    return statement;
  };
  const watched = <Call extends typeof run | typeof all | typeof get>(original: Call) =>
    function (this: StatementSync, ...values: never[]) {
      const database = databases.get(this);
      if (database !== undefined && /^\s*(INSERT|UPDATE|DELETE|REPLACE)/i.test(this.sourceSQL)) {
        const {synchronous} = Reflect.apply(get, Reflect.apply(prepare, database, ['PRAGMA synchronous']), []) as {
          synchronous: number;
        };
        changes.push({sql: this.sourceSQL, synchronous});
      }
      return (original as (...args: never[]) => unknown).apply(this, values);
    };
  Object.assign(StatementSync.prototype, {run: watched(run), all: watched(all), get: watched(get)});
  putBack = () => {
    DatabaseSync.prototype.prepare = prepare;
    Object.assign(StatementSync.prototype, {run, all, get});
  };
});
afterEach(() => {
  putBack();
  home.remove();
});

test('every change of a state is synced, a heartbeat is not', async () => {
  const journal = home.open();
  const modesOf = async (work: () => Promise<unknown>) => {
    changes = [];
    await work();
    return [...new Set(changes.map(({synchronous}) => synchronous))];
  };
  let number = 0 as OperationNumber;
  expect(await modesOf(async () => ({number} = await journal.create(newOperation())))).toEqual([full]);
  expect(await modesOf(() => journal.assign(number, process.pid))).toEqual([full]);
  expect(await modesOf(() => journal.claim(number))).toEqual([full]);
  const progress = {phase: 'TransferData', bytesDone: 1, itemsDone: 0};
  expect(await modesOf(() => journal.report(number, progress))).toEqual([normal]);
  expect(await modesOf(() => journal.requestCancel(number))).toEqual([full]);
  expect(await modesOf(() => journal.finish(number, {status: 'SUCCESS', result: {}}))).toEqual([full]);
  expect(await modesOf(() => journal.addNotice(number, 'later'))).toEqual([full]);
  expect(await modesOf(() => journal.forget(number))).toEqual([full]);
  journal.close();
});
