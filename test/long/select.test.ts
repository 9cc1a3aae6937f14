import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';
import {whileHeld} from '../helpers/held-worker.ts';
import {slowSchema} from '../helpers/slow-schema.ts';

async function rows(desk: Desk, statement: string): Promise<Record<string, unknown>[]> {
  const {status, stdout, stderr} = await desk.bkp('sql', '--format', 'json', statement);
  expect({status, stderr}).toEqual({status: 0, stderr: ''});
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('operations() shows a running backup and its result', async () => {
  const desk = openDesk(slowSchema);
  expect(await rows(desk, 'SELECT * FROM operations()')).toEqual([]);
  await desk.sql("CREATE BACKUP COLLECTION c (TABLE big) WITH (STORAGE='cluster')");
  const latest =
    'SELECT id, subject, status, state, progress_percent, end_ts FROM operations() ORDER BY create_ts DESC LIMIT 1';
  const [during] = await whileHeld(desk, {give: () => desk.sql('BACKUP c')}, () => rows(desk, latest));
  expect(during).toMatchObject({id: 'fullbackup/1', subject: 'c', status: 'PROGRESS', end_ts: null});
  expect(['queued', 'running']).toContain(during!.state);
  expect(during!.progress_percent).toBeLessThan(100);

  expect((await desk.bkp('operation', 'wait', '1')).status).toBe(0);
  expect(await rows(desk, latest)).toEqual([
    {...during, status: 'SUCCESS', state: 'done', progress_percent: 100, end_ts: expect.stringMatching(/Z$/)},
  ]);
  expect(await desk.sql('SELECT status, progress_percent FROM operations() LIMIT -1')).toBe(
    'status   progress_percent\nSUCCESS               100\n',
  );
});

test('collections() and collection_backups() agree with SHOW, and join with operations()', async () => {
  const desk = openDesk();
  await desk.sql(createC(true));
  await desk.sql("CREATE BACKUP COLLECTION empty DATABASE WITH (STORAGE='cluster')");
  await desk.sqlWait('BACKUP c');
  desk.exec("UPDATE orders SET txt = 'later' WHERE id = 1; DELETE FROM products WHERE id = 2");
  await desk.sqlWait('BACKUP c INCREMENTAL');

  const shown = await rows(desk, 'SHOW BACKUP COLLECTIONS');
  expect(shown).toHaveLength(2);
  expect(await rows(desk, 'SELECT name AS collection, * FROM collections()')).toEqual(
    shown.map((row) => ({...row, name: row.collection, error: null})),
  );
  const backups = await rows(desk, 'SHOW BACKUPS IN c');
  expect(backups).toHaveLength(2);
  expect(await rows(desk, "SELECT * FROM collection_backups() WHERE collection = 'c'")).toEqual(
    backups.map(({pin: _, ...row}) => ({
      ...row,
      ...{pinned: false, pinned_until: null, pin_reason: null},
      collection: 'c',
      storage: 'cluster',
      taken_at: String(row.taken_at).replace('Z', '.000000Z'),
      error: null,
    })),
  );
  expect(
    await rows(
      desk,
      `SELECT c.name, o.kind, b.deleted FROM collections() c
         LEFT JOIN collection_backups() b ON b.collection = c.name
         LEFT JOIN operations() o ON o.backup = c.name || '/' || b.backup
       ORDER BY c.name, b.taken_at`,
    ),
  ).toEqual([
    {name: 'c', kind: 'fullbackup', deleted: 0},
    {name: 'c', kind: 'incbackup', deleted: 1},
    {name: 'empty', kind: null, deleted: null},
  ]);
});

test('every SELECT in the manual runs', async () => {
  const desk = openDesk();
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  desk.exec('ALTER TABLE orders ADD COLUMN status');
  await desk.sql("CREATE BACKUP COLLECTION shop (TABLE orders) WITH (STORAGE='cluster')");
  await desk.sqlWait('BACKUP shop');
  const manual = readFileSync(join(import.meta.dirname, '../../docs/sql.md'), 'utf8');
  // The backup of the manual's date is the one of now.
  const questions = [...manual.matchAll(/^SELECT .*;$/gm)].map(([text]) => text.replace(", '2026-11-20 12:00'", ''));
  expect(questions.length).toBeGreaterThan(3);
  // One process runs them in sequence: all must parse, and the first failure ends the sequence.
  await desk.sql(questions.join('\n'));
  expect(await rows(desk, questions.find((text) => text.includes('JOIN'))!)).toEqual([
    {id: 'fullbackup/1', restore_bytes: expect.any(Number)},
    {id: 'fullbackup/2', restore_bytes: expect.any(Number)},
  ]);
});

test('damage in one store is reported and hides nothing of the others', async () => {
  const desk = openDesk();
  for (const name of ['a', 'b', 'c']) {
    await desk.sql(createC(false).replace('COLLECTION c', `COLLECTION ${name}`));
    await desk.sqlWait(`BACKUP ${name}`);
  }
  const damage = (collection: string, file: RegExp) => {
    for (const key of desk.storedKeys())
      if (key.includes(`/collections/${collection}/`) && file.test(key)) writeFileSync(join(desk.cluster, key), 'x');
  };
  damage('a', /manifest$/);
  damage('b', /collection.*json|definition/);
  const found = await rows(desk, 'SELECT collection, backup IS NULL AS none, rows, error FROM collection_backups()');
  expect(found).toEqual([
    {collection: 'a', none: 0, rows: null, error: expect.any(String)},
    {collection: 'b', none: 1, rows: null, error: expect.any(String)},
    {collection: 'c', none: 0, rows: 6, error: null},
  ]);
});

test('a store is read only if the statement names one of its views', async () => {
  const desk = openDesk();
  expect(await desk.sql("SELECT count(*) AS n FROM operations() WHERE statement <> 'collections()'")).toBe('n\n0\n');
  const absent = await desk.refused('SELECT name FROM collections()');
  expect(absent).toMatchObject({status: 1, stdout: ''});
  expect(absent.stderr).toMatch(/there is no cluster directory .*\nnext: .*CREATE BACKUP COLLECTION/);
  // A misspelled column is reported before any store is read.
  const mistyped = await desk.refused('SELECT nam FROM collections()');
  expect(mistyped.stderr).toMatch(/no such column: nam \(GENERIC_ERROR\)\nnext: {2}did you mean name\?/);
  expect(mistyped.status).toBe(2);
  expect(desk.has('cluster')).toBe(false);
});

test('an unknown view is refused, and the error lists the available ones', async () => {
  const desk = openDesk();
  const before = readdirSync(desk.folder);
  const unknown = await desk.refused('SELECT status FROM opertions()');
  expect(unknown).toMatchObject({status: 2, stdout: ''});
  expect(unknown.stderr).toMatch(/no such table: opertions .*\nnext: {2}did you mean operations\(\)\? the views are /);
  const forbidden = await desk.refused('SELECT * FROM sqlite_schema');
  expect(forbidden).toMatchObject({status: 12, stdout: ''});
  expect(forbidden.stderr).toMatch(/is refused \(UNSUPPORTED\)\nnext: {2}the views are .*collection_backups\(\)/);
  // All statements of a text are parsed first: an invalid one prevents the valid one from running.
  const second = await desk.refused("SELECT 1; PRAGMA user_version; ATTACH 'x.db' AS x");
  expect(second).toMatchObject({status: 2, stdout: ''});
  expect(readdirSync(desk.folder)).toEqual(before);

  const json = await desk.bkp('sql', '--format', 'json', 'SELECT FROM operations()');
  expect(JSON.parse(json.stderr)).toMatchObject({status: 'GENERIC_ERROR', code: 'SYNTAX'});
});
