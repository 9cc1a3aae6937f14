import {copyFileSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {Staging} from '../../src/sources/index.ts';
import {DeltaProgress} from '../../src/sources/sqlite/restore/delta-progress.ts';
import {StagingFile} from '../../src/sources/sqlite/restore/staging-file.ts';
import type {DeltaState} from '../../src/sources/sqlite/restore/staging-record.ts';
import {takeOverDeltas} from '../../src/sources/sqlite/restore/take-over.ts';
import {expectSame} from '../helpers/sqlite-compare.ts';
import {begin, loadBases, type Step, stepsOf} from '../sources/sqlite/continuing.ts';
import {Database, filesIn, folder, full, increment} from '../sources/sqlite/database.ts';

// A restore that is interrupted while it applies rows and keys. The files that a killed process leaves are those that
// it has at that moment.

const schema = `
  CREATE TABLE big (id INTEGER PRIMARY KEY, txt TEXT UNIQUE, more);
  CREATE INDEX big_more ON big (more);
  CREATE TABLE keyed (name TEXT COLLATE NOCASE PRIMARY KEY, value);
  CREATE TABLE bare (a, b, PRIMARY KEY (b, a)) WITHOUT ROWID;
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
    INSERT INTO big SELECT i, 'order ' || i, i % 7 FROM n;
  INSERT INTO keyed SELECT 'key ' || id, txt FROM big;
  INSERT INTO bare SELECT id, id % 10 FROM big;`;
const tables = ['big', 'keyed', 'bare'];

async function end(staging: Staging, steps: readonly Step[]): Promise<void> {
  const applied = staging.applied!();
  for (const step of steps.slice(applied.length)) await step(staging);
  await staging.finish({check: 'full'});
  await staging.publish({});
}

for (const [form, checkpointBytes] of [
  [undefined, 1],
  [undefined, 20_000],
  ['rows', 20_000],
] as const) {
  test(`a restore killed between changes continues (${form ?? 'records'}, ${checkpointBytes})`, async () => {
    const database = new Database(schema);
    let backup = await full(database, tables, undefined, form);
    for (const change of [
      "UPDATE big SET txt = txt || '!' WHERE id % 5 = 0; DELETE FROM keyed WHERE name > 'key 9'",
      'DELETE FROM bare WHERE a < 9',
      "UPDATE big SET txt = 'order ' || (id + 1000), id = id + 1000 WHERE id % 9 = 0; INSERT INTO bare VALUES (1, 1)",
      "UPDATE keyed SET name = upper(name); INSERT INTO big (txt) VALUES ('last')",
    ]) {
      database.exec(change);
      backup = await increment(database, backup, form);
    }
    const steps = stepsOf(backup);
    const place = folder();
    const staging = await begin(join(place, 'app.db'), 'one', backup, checkpointBytes);
    await loadBases(staging, backup);
    for (let at = 0; at <= steps.length; at++) {
      const copy = folder();
      for (const name of readdirSync(place)) copyFileSync(join(place, name), join(copy, name));
      const path = join(copy, 'app.db');
      const again = await begin(path, 'two', backup, checkpointBytes);
      const reloaded = await loadBases(again, backup);
      const applied = again.applied!();
      if (at > 0) expect(reloaded).toBe(0);
      expect(applied.length).toBeLessThanOrEqual(at);
      if (checkpointBytes === 1) expect(applied).toHaveLength(at);
      await end(again, steps);
      expectSame(path, database.path, tables);
      // Before the first change, nothing says how far the file is.
      expect(filesIn(copy)).toEqual(at === 0 ? ['app.db', 'app.db.bkp-stage-one'] : ['app.db']);
      await steps[at]?.(staging);
    }
    expect(steps.length).toBeGreaterThan(8);
    await staging.discard();
  });
}

test('a restore that loses its store while it applies changes continues where it was', async () => {
  const database = new Database(schema);
  const base = await full(database, tables);
  database.exec("UPDATE big SET txt = txt || '!'; UPDATE keyed SET value = 1");
  const backup = await increment(database, base);
  const steps = stepsOf(backup);
  const path = join(folder(), 'app.db');
  const staging = await begin(path, 'one', backup, 1_000_000);
  await loadBases(staging, backup);
  for (const step of steps.slice(0, 3)) await step(staging);
  expect(await staging.leave!()).toBe(true);
  const again = await begin(path, 'two', backup, 1_000_000);
  expect(again.applied!()).toHaveLength(3);
  await end(again, steps);
  expectSame(path, database.path, tables);
});

test('a staging file that is beyond its record is not continued', async () => {
  const database = new Database(schema);
  const base = await full(database, tables);
  database.exec('UPDATE big SET txt = txt || char(33)');
  const backup = await increment(database, base);
  const steps = stepsOf(backup);
  const place = folder();
  const staging = await begin(join(place, 'app.db'), 'one', backup, 1_000_000);
  await loadBases(staging, backup);
  await steps[0]!(staging);
  const copy = folder();
  for (const name of readdirSync(place)) copyFileSync(join(place, name), join(copy, name));
  // As when a connection is closed: SQLite moves the WAL into the file.
  const staged = filesIn(copy).find((name) => name.endsWith('one'))!;
  new Database('', {path: join(copy, staged)}).close();
  const path = join(copy, 'app.db');
  const again = await begin(path, 'two', backup, 1_000_000);
  expect(again.applied!()).toEqual([]);
  expect(await loadBases(again, backup)).toBeGreaterThan(0);
  await end(again, steps);
  expectSame(path, database.path, tables);
  await staging.discard();
});

test('a process that is killed while it moves the WAL into the file leaves a file that continues', async () => {
  const place = folder();
  const left = join(place, 'left');
  const file = new StagingFile(left, {});
  file.connection.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v)');
  const copies: {path: string; state: DeltaState}[] = [];
  const save = async (state: DeltaState) => {
    const path = folder();
    for (const name of readdirSync(place)) copyFileSync(join(place, name), join(path, name));
    copies.push({path, state});
  };
  const progress = new DeltaProgress(file, {everyBytes: 2, save});
  await progress.begin(true);
  for (let step = 1; step <= 5; step++) {
    await progress.step(1, () => file.connection.run('INSERT INTO t (v) VALUES (randomblob(5000))'));
  }
  file.close();
  expect(copies.map(({state: {steps, isMoving}}) => [steps.length, isMoving])).toEqual([
    ...[[0, false]],
    ...[1, 2, 3, 4, 5].flatMap((n) => [
      [n, true],
      [n, false],
    ]),
  ]);
  for (const {path, state} of copies) {
    const fresh = join(path, 'fresh');
    new Database('CREATE TABLE other (x)', {path: fresh}).close();
    expect(takeOverDeltas(fresh, join(path, 'left'), state)).toBe(true);
    const taken = new Database('', {path: fresh});
    expect(taken.value('SELECT count(*) FROM t')).toBe(state.steps.length);
    expect(taken.value('PRAGMA integrity_check')).toBe('ok');
    taken.close();
  }
});
