import {existsSync, mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {carryOut} from '../../src/app/orders/carry-out.ts';
import {execute} from '../../src/app/statements/execute.ts';
import {parse} from '../../src/sql/index.ts';
import {hashHex} from '../../src/vault/format/hash.ts';
import {testDeps} from '../helpers/deps.ts';
import {createC, openDesk} from '../helpers/desk.ts';

test('a cluster that is a file, is missing, contains something else, or is empty is reported as such', async () => {
  const desk = openDesk();
  const at = (name: string) => join(desk.folder, name);
  const sql = (cluster: string, statement: string) => desk.bkp('--cluster', at(cluster), 'sql', statement);

  expect(await sql('app.db', createC(false))).toMatchObject({
    status: 12,
    stderr: expect.stringMatching(/app\.db is.*file/),
  });
  for (const statement of ['SHOW BACKUP COLLECTIONS', 'BACKUP c', 'RESTORE c', 'DROP BACKUP COLLECTION c']) {
    const absent = await sql('nowhere', statement);
    expect(absent).toMatchObject({status: 1, stdout: ''});
    expect(absent.stderr).toMatch(
      /there is no cluster directory .*nowhere \(UNAVAILABLE\)\nnext: .*CREATE BACKUP COLLECTION/,
    );
  }
  // Reading does not create the directory.
  expect(existsSync(at('nowhere'))).toBe(false);

  mkdirSync(at('photos'));
  writeFileSync(at('photos/cat.jpg'), 'x');
  const foreign = await sql('photos', createC(false));
  expect(foreign).toMatchObject({status: 12, stderr: expect.stringContaining('cat.jpg')});
  expect(existsSync(at('photos/bkp.json'))).toBe(false);

  mkdirSync(at('empty'));
  const empty = await sql('empty', 'BACKUP c');
  expect(empty).toMatchObject({
    status: 12,
    stderr: expect.stringMatching(/holds no vault.*\nnext: .*CREATE BACKUP COLLECTION/),
  });
  expect((await sql('empty', createC(false))).status).toBe(0);
});

test('no vault is created inside another one, and no database is stored among its own backups', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  for (const inside of ['packs/x', 'deep/er']) {
    const cluster = join(desk.cluster, inside);
    const nested = await desk.bkp('--cluster', cluster, 'sql', createC(false));
    expect(nested).toMatchObject({status: 12, stdout: ''});
    expect(nested.stderr).toMatch(/is inside another one, .*cluster \(PRECONDITION_FAILED\)\nnext: /);
    expect(existsSync(cluster)).toBe(false);
  }
  const source = join(desk.cluster, 'app.db');
  for (const statement of ['BACKUP c', 'RESTORE c']) {
    if (statement === 'RESTORE c') await desk.sqlWait('BACKUP c');
    const within = await desk.bkp('--source', source, 'sql', '--wait', statement);
    expect(within).toMatchObject({status: 12, stdout: ''});
    expect(within.stderr).toMatch(/app\.db is inside the cluster directory/);
  }
  expect(existsSync(source)).toBe(false);
});

test('a cluster of a newer format is refused and left unchanged', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  const file = join(desk.cluster, 'bkp.json');
  const {checksum: _, ...header} = JSON.parse(readFileSync(file, 'utf8')) as {version: number; checksum: string};
  const newer = {...header, version: header.version + 1};
  writeFileSync(file, JSON.stringify({...newer, checksum: hashHex(Buffer.from(JSON.stringify(newer)))}));
  for (const statement of [createC(false), 'SHOW BACKUP COLLECTIONS', 'BACKUP c', 'VERIFY c', 'RESTORE c']) {
    const refused = await desk.refused(statement);
    expect(refused).toMatchObject({status: 12, stdout: ''});
    expect(refused.stderr).toMatch(/newer bkp.*\nnext: {2}install the newest bkp/);
  }
});

test('a worker that finds a different vault than its statement did changes nothing', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  const deps = testDeps(desk.home);
  const settings = await deps.settings();
  const here = {
    ...deps,
    settings: async () => ({...settings, source: desk.database, cluster: desk.cluster}),
    startWorker: async () => {},
  };
  const {operation} = await execute(here, parse('BACKUP c')[0]!);
  renameSync(desk.cluster, join(desk.folder, 'first'));
  await desk.bkp('store', 'forget');
  await desk.sql(createC(false));
  const signal = new AbortController().signal;
  const context = {operation: operation!, signal, progress: () => {}, limits: () => undefined, log: () => {}};
  await expect(carryOut(here, context)).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('different vault'),
  });
  deps.close();
});
