import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {expect, onTestFinished, test} from 'vitest';
import {backupsOf, type Desk, openDesk} from '../../helpers/desk.ts';
import {operationRows} from '../../helpers/held-worker.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';

const cluster = clusterOfFile();
const points = Number(process.env.BKP_KILLS ?? 12);
const statements = ['BACKUP c', 'BACKUP c INCREMENTAL', 'RESTORE c'] as const;
const tables = ['item', 'sold'];

const schema = `
  CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, pad text NOT NULL);
  CREATE INDEX item_by_name ON item (name);
  CREATE TABLE sold (at int, item int REFERENCES item ON DELETE CASCADE, n int, PRIMARY KEY (at, item));
  INSERT INTO item SELECT g, 'item ' || g, repeat(md5(g::text), 10) FROM generate_series(1, 12000) g;
  INSERT INTO sold SELECT g, 1 + g * 7 % 12000, g FROM generate_series(1, 12000) g`;

const change = (turn: number) => `
  UPDATE item SET name = 'turn ${turn}' WHERE id % 50 = ${turn % 50};
  DELETE FROM item WHERE id % 900 = ${turn % 900};
  INSERT INTO item VALUES (${100_000 + turn}, 'new', '');
  INSERT INTO sold VALUES (${100_000 + turn}, ${100_000 + turn}, 1)`;

test('a killed worker or server leaves no backup that does not restore, and the next increment is right', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  const desk = openDesk(undefined, {BKP_SOURCE: addressOf(database), PATH: `${cluster().bin}:${process.env.PATH}`});
  const tableList = tables.map((table) => `TABLE ${table}`).join(', ');
  const settings = "STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true'";
  await desk.sql(`CREATE BACKUP COLLECTION c (${tableList}) WITH (${settings})`);
  const startedAtMs = Date.now();
  await desk.sqlWait('BACKUP c');
  const usualMs = Date.now() - startedAtMs;
  let good = await rowsOf(database);
  const outcomes: Record<string, number> = {};
  for (let point = 0; point < points; point++) {
    const statement = statements[point % statements.length]!;
    const victim = Math.floor(point / statements.length) % 2 === 0 ? 'worker' : 'server';
    // Spread over the operation, whatever the order of the points.
    const afterMs = ((point * 0.618) % 1) * usualMs;
    const where = `${victim} killed ${Math.round(afterMs)} ms after ${statement}, point ${point}`;
    const target = await cluster().create();
    await database.exec(change(point));
    const now = await rowsOf(database);
    const isRestore = statement === 'RESTORE c';
    const before = await backupsOf(desk);
    await desk.bkp(...(isRestore ? ['--source', addressOf(target)] : []), 'sql', statement);
    const {pid} = operationRows(desk.home).at(-1)!;
    await pause(afterMs);
    if (victim === 'worker') endWorker(pid);
    else {
      await cluster().killHard();
      await database.forget();
      cluster().launch();
    }
    const {status} = await desk.bkp('operation', 'wait', 'last');
    outcomes[`${statement}, ${victim}: ${status === 0 ? 'done' : 'failed'}`] ??= 0;
    outcomes[`${statement}, ${victim}: ${status === 0 ? 'done' : 'failed'}`]! += 1;
    if (isRestore) {
      // A restore that was killed begins again.
      if (status === 0) expect(await rowsOf(target), where).toEqual(good);
      await restoreInto(desk, target, good, where);
    } else {
      const hasBackup = (await backupsOf(desk)).length > before.length;
      // A worker may be killed after its backup is complete, and before the journal knows.
      if (victim === 'server' || status === 0) expect(hasBackup, where).toBe(status === 0);
      if (hasBackup) good = now;
      await restoreInto(desk, target, good, where);
    }
    const next = await cluster().create();
    await desk.sqlWait('BACKUP c INCREMENTAL OR FULL');
    good = now;
    await restoreInto(desk, next, good, `the increment after: ${where}`);
  }
  console.log(`${points} points: ${JSON.stringify(outcomes)}`);
  await desk.sqlWait('VERIFY c');
});

const addressOf = ({name}: TestDatabase) =>
  `host=${join(cluster().folder, 's')} port=${cluster().port} dbname=${name} user=postgres`;

async function rowsOf(database: TestDatabase): Promise<readonly (readonly string[])[]> {
  return Promise.all(tables.map((table) => database.rows(table)));
}

function endWorker(pid: number | null): void {
  try {
    if (pid !== null) process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It was done before.
    if ((error as {code?: string}).code !== 'ESRCH') throw error;
  }
}

async function restoreInto(desk: Desk, target: TestDatabase, rows: unknown, where: string): Promise<void> {
  await restoreAgain(desk, target);
  expect(await rowsOf(target), where).toEqual(rows);
  await target.close();
}

async function restoreAgain(desk: Desk, target: TestDatabase): Promise<void> {
  const result = await desk.bkp('--source', addressOf(target), 'sql', '--wait', 'RESTORE c');
  // What was published before the kill is in the way of another restore, and complete.
  if (result.status === 12 && result.stderr.includes('path exist')) return;
  expect(result, `${result.stdout}${result.stderr}`).toMatchObject({status: 0});
}
