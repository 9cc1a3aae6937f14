import {expect, test} from 'vitest';
import {statusOf} from '../../src/ops/index.ts';
import {testDeps} from '../helpers/deps.ts';
import {createC, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

function openBench() {
  const desk = openDesk();
  const {env, settings} = testDeps(desk.home);
  Object.assign(env, {
    BKP_SOURCE: desk.database,
    BKP_CLUSTER: desk.cluster,
    BKP_STORE: `fs::root=${desk.folder}/backups`,
  });
  const {run} = runDirectly(desk, {settings});
  return async (statement: string) => {
    const {rows, notices, ended} = await run(statement);
    if (ended !== undefined) expect(statusOf(ended)).toBe('SUCCESS');
    return {rows, backup: ended?.backup, notices};
  };
}

test('what a statement prints as the name of a backup, every statement takes in quotes', async () => {
  const run = openBench();
  await run(createC(true));
  const {backup} = await run('BACKUP c');
  expect(backup).toMatch(/^c\/\d{14}Z_full$/);
  expect((await run(`VERIFY '${backup}'`)).backup).toBe(backup);
  expect((await run('VERIFY c AT latest')).backup).toBe(backup);
  expect((await run(`PIN BACKUP '${backup}'`)).rows).toMatchObject({backup});
  await run(`UNPIN BACKUP '${backup}'`);
  expect((await run('PIN BACKUP c AT latest')).rows).toMatchObject({backup});
  await run(`UNPIN BACKUP '${backup}'`);
  for (const table of [`backup('c', latest).orders`, `backup('${backup}').orders`])
    expect((await run(`SELECT count(*) AS n FROM ${table}`)).rows).toMatchObject({kind: 'selection'});
  const inexact = {code: 'BAD_REQUEST', message: "'latest' does not name one backup exactly"};
  for (const verb of ['DROP', 'UNPIN']) await expect(run(`${verb} BACKUP c AT latest`)).rejects.toMatchObject(inexact);
  await run(`DROP BACKUP '${backup}'`);
  expect((await run('SHOW BACKUPS IN c')).rows).toMatchObject({backups: []});
});

test('a backup of a database is named by its timestamp, by a time after it, or as the newest', async () => {
  const run = openBench();
  const {backup: timestamp} = await run('BACKUP DATABASE');
  const {rows} = await run('PIN DATABASE BACKUP LATEST');
  const backup = rows?.kind === 'pin' ? rows.backup : undefined;
  expect(backup).toMatch(new RegExp(`^[a-z-]+/${timestamp}$`));
  const pinned = async (named: string) => (await run(`PIN DATABASE BACKUP ${named}`)).rows;
  for (const named of [`'${backup}'`, `'${timestamp}'`, "'-0 seconds'"])
    expect(await pinned(named)).toMatchObject({kind: 'pin', backup});
  const later = await run("PIN DATABASE BACKUP '2999-01-01'");
  expect(later.rows).toMatchObject({backup});
  expect(later.notices).toEqual([expect.stringContaining('no backup has the timestamp 2999-01-01T00:00:00.000000Z')]);
  expect((await run('VERIFY DATABASE AT LATEST')).notices).toEqual([]);
  for (const verb of ['DROP', 'UNPIN'])
    for (const inexact of ['latest', "'-1 day'"])
      await expect(run(`${verb} DATABASE BACKUP ${inexact}`)).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: expect.stringContaining('does not name one backup exactly'),
        next: expect.stringContaining('backups()'),
      });
  await run(`UNPIN DATABASE BACKUP \`${backup}\``);
  expect((await run(`DROP DATABASE BACKUP \`${backup}\``)).backup).toBe(backup);
});
