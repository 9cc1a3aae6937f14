import {afterEach, beforeEach, expect, test} from 'vitest';
import type {OperationNumber} from '../../../src/ops/index.ts';
import {makeHome, newOperation, type TestHome} from '../home.ts';
import {race} from '../race.ts';

let home: TestHome;

beforeEach(() => {
  home = makeHome();
  home.clock.nowMicros = Date.now() * 1000;
});
afterEach(() => home.remove());

const rounds = 50;
const upTo = (count: number) => Array.from({length: count}, (_, at) => at + 1);
const sorted = (numbers: number[]) => numbers.sort((a, b) => a - b);

test('of processes that start work on the same subjects, one wins each subject', async () => {
  const journal = home.open();
  const won = await race(home, {processes: 4, rounds, action: 'create'});
  expect(sorted(won.flat())).toEqual(upTo(rounds));
  expect(new Set((await journal.open()).map(({subject}) => subject)).size).toBe(rounds);
});

test('of workers that claim the same operations, one wins each', async () => {
  const journal = home.open();
  for (const at of upTo(rounds)) await journal.create(newOperation({subject: {kind: 'collection', name: String(at)}}));
  const won = await race(home, {processes: 4, rounds, action: 'claim'});
  expect(sorted(won.flat())).toEqual(upTo(rounds));
});

test('of observers of dead workers, one gets each operation', async () => {
  const dead = {pid: 4711, startedAt: 'then', boot: 'before', space: ''};
  const elsewhere = home.open({self: () => dead, identify: () => dead, fateOf: () => 'alive'});
  for (const at of upTo(rounds)) {
    const {number} = await elsewhere.create(newOperation({subject: {kind: 'collection', name: String(at)}}));
    await elsewhere.claim(number as OperationNumber);
  }
  const won = await race(home, {processes: 4, rounds: 1, action: 'reap'});
  expect(sorted(won.flat())).toEqual(upTo(rounds));
  expect(await elsewhere.open()).toEqual([]);
});
