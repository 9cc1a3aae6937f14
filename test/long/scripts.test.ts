import {execFile, spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';
import {bkpFile, runBkp} from '../helpers/bkp.ts';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const lines = (text: string) => text.split('\n').filter(Boolean);
const show = 'SHOW BACKUP COLLECTIONS;';

/** Runs bkp with text on standard input. */
const fed = (desk: Desk, input: string, ...args: string[]) =>
  runBkp(args, {home: desk.home, env: {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster}, cwd: desk.folder, input});

test('statements come from an argument, -s, a file or stdin, and the first error ends a sequence', async () => {
  const desk = openDesk();
  writeFileSync(join(desk.folder, 'create.sql'), `-- made by hand\n${createC(false)};\n`);
  expect(await desk.bkp('sql', '-f', 'create.sql')).toMatchObject({status: 0, stdout: '', stderr: ''});
  const answers = await Promise.all([
    desk.bkp('sql', show),
    desk.bkp('sql', '-s', show),
    fed(desk, show, 'sql'),
    fed(desk, show, 'sql', '-f', '-'),
  ]);
  expect(new Set(answers.map(({stdout}) => stdout)).size).toBe(1);
  expect(answers[0]!.stdout).toMatch(/^collection .*\nc /);

  const row = await desk.bkp('sql', '--wait', 'BACKUP c; BACKUP nosuch; BACKUP c');
  expect(row.status).toBe(10);
  expect(row.stdout.match(/fullbackup\/\d+/g)).toEqual(['fullbackup/1']);
  expect(row.stderr).toMatch(/statement 2 of 3 failed, 1 not run\nbkp: collection .*nosuch does not exist/);
  // If one statement does not parse, none runs.
  const typo = await desk.bkp('sql', 'BACKUP c; BAKUP c');
  expect(typo).toMatchObject({status: 2, stdout: '', stderr: expect.stringMatching(/line 1, column 11(.|\n)*BACKUP/)});

  const wrong = await Promise.all([
    desk.bkp('sql', ''),
    desk.bkp('sql', '-- nothing'),
    fed(desk, '', 'sql'),
    desk.bkp('sql', '-f', 'nosuch.sql'),
    desk.bkp('sql', show, '-f', 'create.sql'),
  ]);
  for (const result of wrong)
    expect(result).toMatchObject({status: 2, stdout: '', stderr: expect.stringMatching(/^bkp: /)});
});

test('with --format json every result is lines of JSON, and every error is JSON on stderr', async () => {
  const desk = openDesk();
  const json = (statement: string) => desk.bkp('sql', '--wait', '--format', 'json', statement);
  await desk.sql(createC(true));
  const done = await json(
    "BACKUP c; BACKUP c INCREMENTAL; VERIFY c; VERIFY c WITH (LEVEL='structure'); SHOW BACKUPS IN " +
      'c; SHOW BACKUP COLLECTIONS; DROP BACKUP COLLECTION c',
  );
  expect(done.status, done.stderr).toBe(0);
  const objects = lines(done.stdout).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(objects.map(({id}) => id).filter(Boolean)).toEqual([
    'fullbackup/1',
    'incbackup/2',
    'verify/3',
    'verify/4',
    'cleanup/5',
  ]);
  expect(objects.filter(({backup, kind}) => backup && kind).map(({kind}) => kind)).toEqual(['full', 'incremental']);
  for (const [statement, code] of [
    ['SELEC 1', 'SYNTAX'],
    ['BACKUP c; BACKUP d', 'COLLECTION_NOT_FOUND'],
  ] as const) {
    const refused = await json(statement);
    expect(refused.stdout).toBe('');
    expect(JSON.parse(refused.stderr)).toMatchObject({
      code,
      status: expect.any(String),
      issues: expect.arrayContaining([{message: expect.any(String)}]),
    });
  }
});

test('under cron, with no terminal, bkp prints plain lines and runs on its own Node', async () => {
  const desk = openDesk();
  const run = (...args: string[]) =>
    promisify(execFile)('env', ['-i', `HOME=${desk.folder}`, 'PATH=/usr/bin:/bin', ...args], {cwd: '/'});
  const place = ['--source', desk.database, '--cluster', desk.cluster];
  // The first Node in cron's PATH may be older than required: bkp then starts its own.
  const nodes = [process.execPath, ...['/usr/bin/node'].filter((node) => spawnSync(node, ['--version']).status === 0)];
  for (const [at, node] of nodes.entries()) {
    const statement = at === 0 ? `${createC(true)}; BACKUP c` : 'BACKUP c INCREMENTAL';
    const {stdout, stderr} = await run(node, bkpFile, ...place, 'sql', '--wait', statement);
    expect(stdout).toMatch(/^operation_id +backup\n\w+\/\d+ +c\/\d{14}Z_\w+\n$/);
    for (const line of lines(stderr)) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \w+\/\d+ [ -~]+$/);
  }
});

test('ten thousand operations are listed, read and extended like ten', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(false));
  await run('BACKUP c');
  const file = join(desk.home, 'journal.db');
  const db = new DatabaseSync(file);
  const columns = db
    .prepare("SELECT group_concat(name) AS names FROM pragma_table_info('operation') WHERE name <> 'number'")
    .get() as {names: string};
  db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO operation (${columns.names}) SELECT ${columns.names} FROM operation, n WHERE number = 1`);
  db.close();
  const listed = await desk.bkp('operation', 'list', '-s', '2', '--format', 'json');
  expect(JSON.parse(listed.stdout)).toMatchObject({
    operations: [{id: 'fullbackup/10001'}, {id: 'fullbackup/10000'}],
    nextPageToken: '2',
  });
  const last = await desk.bkp('operation', 'list', '-s', '100', '-t', '101', '--format', 'json');
  expect(JSON.parse(last.stdout)).toMatchObject({operations: [{id: 'fullbackup/1'}], nextPageToken: '0'});
  expect(await desk.bkp('operation', 'get', '5000')).toMatchObject({status: 0});
  expect((await run('BACKUP c')).operation).toMatchObject({number: 10_002});
});

test('a damaged journal, or one of a newer bkp, is reported before any work starts', async () => {
  const desk = openDesk();
  await runDirectly(desk).run(createC(false));
  await desk.bkp('operation', 'list');
  const file = join(desk.home, 'journal.db');
  desk.exec('PRAGMA user_version = 99', file);
  for (const args of [
    ['operation', 'list'],
    ['sql', 'BACKUP c'],
  ]) {
    const newer = await desk.bkp(...args);
    expect(newer).toMatchObject({
      status: 12,
      stdout: '',
      stderr: expect.stringMatching(/written by a newer bkp(.|\n)*next: /),
    });
  }
  writeFileSync(file, 'x'.repeat(8192));
  for (const args of [
    ['operation', 'list'],
    ['sql', 'BACKUP c'],
  ]) {
    const damaged = await desk.bkp(...args);
    expect(damaged).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/journal .* cannot be used(.|\n)*next: .*no backup is lost/),
    });
  }
});
