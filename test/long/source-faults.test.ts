import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {type RunResult, runBkp} from '../helpers/bkp.ts';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';

// How bkp reports an unusable source: always one line with the fault, a next step, nothing on
// stdout, and no operation that seems to continue: a backup that was refused is a failed one.

async function expectRefused(desk: Desk, result: RunResult, status: number, what: RegExp): Promise<void> {
  const [first, ...rest] = result.stderr.trimEnd().split('\n');
  expect(first).toMatch(what);
  expect(first).toMatch(/^bkp: .*\([A-Z_]+\)$/);
  expect(rest.some((line) => line.startsWith('next:  '))).toBe(true);
  expect(result.stderr).not.toMatch(/^ {4}at /m);
  expect(result).toMatchObject({status, stdout: ''});
  const {stdout} = await desk.bkp('operation', 'list', '--format', 'json');
  const {operations} = JSON.parse(stdout) as {operations: {status: string; ready: boolean}[]};
  expect(operations.every(({status, ready}) => ready && status === 'ERROR')).toBe(true);
}

test('a source that is missing, empty, a directory, or not a database is refused', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  const at = (name: string) => join(desk.folder, name);
  writeFileSync(at('empty.db'), '');
  mkdirSync(at('folder'));
  writeFileSync(at('text.txt'), 'not a database\n'.repeat(300));
  const faults: [string, number, RegExp][] = [
    ['missing.db', 1, /there is no database at .*missing\.db \(UNAVAILABLE\)/],
    ['empty.db', 10, /\/Root\/orders, table \/Root\/products do not exist in .*empty\.db \(SCHEME_ERROR\)/],
    ['folder', 1, /is a directory, not a database/],
    ['text.txt', 1, /text\.txt is not an SQLite database/],
  ];
  for (const [name, status, what] of faults) {
    const result = await desk.bkp('--source', at(name), 'sql', '--wait', 'BACKUP c');
    await expectRefused(desk, result, status, what);
  }
  const unset = await runBkp(['sql', 'BACKUP c'], {home: desk.home, env: {BKP_CLUSTER: desk.cluster}});
  await expectRefused(desk, unset, 2, /no source is set/);
});

/** Another program that holds the write lock until it is ended. */
async function lock(file: string): Promise<{release: () => Promise<void>}> {
  const script = `
    const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]);
    db.exec('BEGIN EXCLUSIVE');
    console.log('locked');
    setTimeout(() => {}, 600_000);`;
  const child = spawn(process.execPath, ['-e', script, file], {stdio: ['ignore', 'pipe', 'ignore']});
  await once(child.stdout!, 'data');
  return {
    release: async () => {
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

test('bkp waits for a locked source, then reports the lock', async () => {
  const desk = openDesk();
  const other = join(desk.folder, 'rollback.db');
  desk.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY)', other);
  await desk.sql(createC(true));
  await desk.sql("CREATE BACKUP COLLECTION d (TABLE orders) WITH (STORAGE='cluster')");
  const locks = await Promise.all([lock(desk.database), lock(other)]);
  try {
    // In WAL mode a lock blocks only the tracking, which the worker starts; without WAL it blocks everything.
    const [wal, rollback] = await Promise.all([
      desk.bkp('sql', '--wait', 'BACKUP c'),
      desk.bkp('--source', other, 'sql', 'BACKUP d'),
    ]);
    expect(wal.stderr).toMatch(/bkp: the database .*app\.db stays locked by another process \(UNAVAILABLE\)/);
    expect(wal.status).toBe(11);
    expect(rollback).toMatchObject({status: 11, stdout: ''});
    expect(rollback.stderr).toMatch(/rollback\.db stays locked by another process \(UNAVAILABLE\)\n(.*\n)?next: /);
  } finally {
    for (const {release} of locks) await release();
  }
  await desk.sqlWait('BACKUP c');
});
