import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {execute} from '../../../src/app/statements/execute.ts';
import {selectable} from '../../../src/app/views/views.ts';
import {tableOf} from '../../../src/commands/tables.ts';
import {parse} from '../../../src/sql/index.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {testDeps} from '../../helpers/deps.ts';
import {aBackup, addFailed, addRunning, addSucceeded} from '../../helpers/journal.ts';

function open() {
  const {home, remove} = temporaryHome();
  const deps = testDeps(home);
  onTestFinished(() => {
    deps.close();
    remove();
  });
  const select = async (text: string) => tableOf(await execute(deps, parse(text)[0]!))!;
  return {deps, select};
}

test('the manual describes every view with exactly its columns, their types and their order', () => {
  const manual = readFileSync(join(import.meta.dirname, '../../../docs/sql.md'), 'utf8');
  const described = Object.fromEntries(
    [...manual.matchAll(/^### (\w+)\(\)\n(.*?)(?=^#|$(?![\s\S]))/gms)].map(([, view, text]) => [
      view,
      [...text!.matchAll(/^\| `(\w+)` +\| (\w+) +\|/gm)].map(([, column, type]) => [column, type]),
    ]),
  );
  const declared = Object.entries(selectable(open().deps).views).map(([view, {columns}]) => [
    view,
    Object.entries(columns),
  ]);
  expect(described).toEqual(Object.fromEntries(declared));
});

test('operations() has every state, oldest first', async () => {
  const {deps, select} = open();
  const journal = await deps.journal();
  await addSucceeded(journal, {subject: {kind: 'collection', name: 'shop'}});
  await addFailed(journal, {kind: 'incbackup'});
  const {number} = await addRunning(journal, {kind: 'restore', backup: 'c/20261121120000Z_full'});
  await journal.report(number, {phase: 'TransferData', bytesDone: 1999, bytesTotal: 10_000, itemsDone: 1});
  await journal.requestCancel((await addRunning(journal, {kind: 'verify'})).number);
  await journal.create(aBackup());

  expect(
    await select('SELECT id, subject, status, state, phase, progress_percent, bytes_total FROM operations() LIMIT 4'),
  ).toMatchObject({
    rows: [
      ['fullbackup/1', 'shop', 'SUCCESS', 'done', 'Done', 100, null],
      ['incbackup/2', expect.any(String), 'ERROR', 'done', 'Done', 0, null],
      ['restore/3', expect.any(String), 'PROGRESS', 'running', 'TransferData', 19, 10_000],
      ['verify/4', expect.any(String), 'PROGRESS', 'cancelling', 'Cancellation', 0, null],
    ],
  });
  expect(await select('SELECT id, state, start_ts, end_ts FROM operations() LIMIT -1')).toMatchObject({
    rows: [['fullbackup/5', 'queued', null, null]],
  });
  expect(await select("SELECT error, kind FROM operations() WHERE status = 'ERROR'")).toMatchObject({
    rows: [['the store is full', 'incbackup']],
  });
  expect(await select('SELECT backup, rows, created_by FROM operations() WHERE error IS NULL LIMIT 2')).toMatchObject({
    rows: [
      ['c/20251226130524Z_full', 3, 'tester'],
      ['c/20261121120000Z_full', null, 'tester'],
    ],
  });
  const times = await select('SELECT create_ts <= start_ts AND start_ts <= end_ts, end_ts FROM operations() LIMIT 1');
  expect(times.rows[0]).toEqual([1, expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)]);
});

test('operations() returns all operations of a journal with many pages', async () => {
  const {deps, select} = open();
  const journal = await deps.journal();
  for (let at = 0; at < 205; at++) await journal.create(aBackup());
  const {rows} = await select('SELECT count(*), count(DISTINCT id), min(id) FROM operations()');
  expect(rows).toEqual([[205, 205, 'fullbackup/1']]);
});

test('SELECT works where backup.enabled is false', async () => {
  const {deps} = open();
  const off = {...deps, settings: async () => ({...(await deps.settings()), enabled: false})};
  const {rows} = await execute(off, parse('SELECT count(*) AS n FROM operations()')[0]!);
  expect(rows).toEqual({kind: 'selection', selection: {columns: ['n'], rows: [[0]]}});
});

test('backups() without an object store names the view for collections', async () => {
  await expect(open().select('SELECT * FROM backups()')).rejects.toMatchObject({
    message: expect.stringContaining('no object store is set'),
    next: expect.stringMatching(/^SELECT \* FROM collection_backups\(\) .*backup\.object\.store/),
  });
});
