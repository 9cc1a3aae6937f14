import {existsSync, readdirSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../helpers/desk.ts';
import {eventually} from '../helpers/eventually.ts';

/** SQLite compares four million bytes at each of four million positions, which never finishes. */
const endless = `instr(printf('%8000000d', id), printf('%4000000d', -1))`;

/**
 * One row, and an index whose creation never ends, because SQLite evaluates its expression. The index was created for
 * a cheap expression, so that the database itself stays fast. A table with a record of more than 8 MiB is backed up row
 * by row, so a restore creates its indexes.
 */
const schema = `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, large BLOB);
  CREATE INDEX slow ON t (v);
  INSERT INTO t VALUES (1, 'a', zeroblob(9000000));`;

function makeEndless(path: string): void {
  const db = new DatabaseSync(path);
  db.enableDefensive(false);
  db.exec('PRAGMA writable_schema = ON');
  db.prepare(`UPDATE sqlite_schema SET sql = ? WHERE name = 'slow'`).run(`CREATE INDEX slow ON t (${endless})`);
  db.close();
}

type Row = {state: string; phase: string; heartbeat: number; outcome: string | null; pid: number};

test('a restore inside CREATE INDEX keeps its heartbeat, and ends soon after a cancel', async () => {
  const desk = openDesk(schema);
  makeEndless(desk.database);
  const newest = (): Row => {
    const db = new DatabaseSync(`${desk.home}/journal.db`, {readOnly: true, timeout: 10_000});
    try {
      return db
        .prepare(
          'SELECT state, phase, heartbeat_at_micros AS heartbeat, outcome, worker_pid AS pid FROM ' +
            'operation ORDER BY number DESC',
        )
        .get() as Row;
    } finally {
      db.close();
    }
  };
  const staged = () => readdirSync(desk.folder).filter((name) => name.startsWith('app.db.bkp-stage-'));
  await desk.sql(`CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster')`);
  await desk.sqlWait('BACKUP c');
  desk.exec('DROP TABLE t');
  await desk.sql('RESTORE c');

  const begun = await eventually(() => {
    const row = newest();
    expect(row).toMatchObject({state: 'running', phase: 'Indexes'});
    return row;
  });
  onTestFinished(() => {
    if (existsSync(`/proc/${begun.pid}`)) process.kill(begun.pid, 'SIGKILL');
  });
  for (let beats = 0, {heartbeat} = begun; beats < 5; beats++) {
    heartbeat = await eventually(() => {
      expect(newest().heartbeat).not.toBe(heartbeat);
      return newest().heartbeat;
    });
  }
  expect(staged()).not.toEqual([]);

  expect((await desk.bkp('operation', 'cancel', 'last')).status).toBe(0);
  const {status, stdout} = await desk.bkp('operation', 'wait', 'last');
  expect(stdout).toContain('CANCELLED');
  expect(stdout).toContain('one long call blocked the worker');
  expect(status).not.toBe(0);
  await eventually(() => expect(existsSync(`/proc/${begun.pid}`)).toBe(false));
  await eventually(() => expect(staged()).toEqual([]));
  // Neither the application nor the next statement was blocked.
  desk.exec('CREATE TABLE u (id INTEGER PRIMARY KEY)');
  expect(await desk.sql('SHOW BACKUPS IN c')).toContain('_full');
});
