import {chmodSync, mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {expect, test} from 'vitest';
import {createC, openDesk} from '../helpers/desk.ts';

type Report = {ok: boolean; checks: {what: string; ok: boolean; detail: string; next?: string}[]};

async function doctor(desk: ReturnType<typeof openDesk>, ...args: string[]) {
  const {status, stdout} = await desk.bkp('doctor', '--format', 'json', ...args);
  return {status, report: JSON.parse(stdout) as Report};
}

test('doctor finds nothing wrong before and after the first backup', async () => {
  const desk = openDesk();
  const before = await doctor(desk);
  expect(before).toMatchObject({status: 0, report: {ok: true}});
  expect(before.report.checks.find(({what}) => what === 'cluster: folder')?.detail).toContain('creates it');
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  const {status, report} = await doctor(desk);
  expect(status).toBe(0);
  expect(report.checks.map(({what}) => what)).toEqual(
    expect.arrayContaining(['node', 'home', 'journal', 'profile', 'cluster: atomic link', 'vault', 'source: tracking']),
  );
  const {stdout} = await desk.bkp('doctor');
  expect(stdout).toMatch(/^ok {4}node: /);
});

test('doctor reports all faults together, each with a next step', async () => {
  const desk = openDesk('');
  writeFileSync(desk.cluster, 'a file');
  const {status, report} = await doctor(desk);
  expect(status).toBe(1);
  const faults = report.checks.filter(({ok}) => !ok);
  expect(faults.map(({what}) => what)).toEqual(
    expect.arrayContaining([expect.stringMatching('cluster'), expect.stringMatching('source')]),
  );
  for (const {next} of faults) expect(next).toMatch(/\w/);
});

test('tracking that no collection needs is reported, and removed only on request', async () => {
  const desk = openDesk();
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  // Another cluster, which can be read and does not have the collection.
  const other = join(desk.folder, 'other');
  await desk.bkp('--cluster', other, 'sql', createC(false).replace('COLLECTION c', 'COLLECTION d'));
  const told = await doctor(desk, '--cluster', other);
  expect(told.status).toBe(1);
  expect(told.report.checks.find(({what}) => what === 'source: tracking')).toMatchObject({
    ok: false,
    next: expect.stringContaining('--repair'),
  });
  const own = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_bkp\\_%' ESCAPE '\\'";
  expect(desk.column(own)).not.toEqual([]);
  expect((await doctor(desk, '--repair', '--cluster', other)).status).toBe(0);
  expect(desk.column(own)).toEqual([]);
});

test('triggers whose log table was dropped are reported, and removed on request', async () => {
  const desk = openDesk();
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  const own = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_bkp\\_%' ESCAPE '\\'";
  for (const table of desk.column(`${own} AND type = 'table'`)) desk.exec(`DROP TABLE "${table}"`);
  const insert = "INSERT INTO orders (number, txt) VALUES (4, 'four')";
  expect(() => desk.exec(insert)).toThrow('_bkp_log_orders');
  const told = await doctor(desk);
  expect(told.status).toBe(1);
  expect(told.report.checks.filter(({ok}) => !ok).map(({what, detail}) => `${what}: ${detail}`)).toEqual([
    expect.stringContaining('source: tracking: writes to table orders fail: _bkp_log_orders is gone'),
    expect.stringContaining('writes to table products fail'),
  ]);
  expect((await doctor(desk, '--repair')).status).toBe(0);
  desk.exec(insert);
  expect(desk.column(own)).toEqual([]);
  expect((await doctor(desk)).status).toBe(0);
});

test('a configuration file that other users can read is reported', async () => {
  const desk = openDesk();
  await desk.bkp('config', 'set', 'check', 'full');
  chmodSync(join(desk.home, 'config.json'), 0o644);
  const {status, report} = await doctor(desk);
  expect(status).toBe(1);
  expect(report.checks.find(({what, ok}) => what === 'secrets' && !ok)?.detail).toContain('chmod 600');
});

test('a vault without its header is not an empty store, and --repair writes the header again', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  desk.remove('cluster/bkp.json');
  const {status, report} = await doctor(desk);
  expect(status).toBe(1);
  expect(report.checks.find(({what}) => what === 'vault')).toMatchObject({
    ok: false,
    next: expect.stringContaining('bkp doctor --repair'),
  });
  expect((await desk.refused('BACKUP c')).stderr).toContain('bkp doctor --repair');
  const repaired = await doctor(desk, '--repair');
  // All is well but that the last backup was refused.
  expect(repaired.report.checks.filter(({ok}) => !ok)).toMatchObject([{what: 'backups'}]);
  await desk.sqlWait('VERIFY c');
  await desk.sqlWait('BACKUP c');
  expect(await doctor(desk)).toMatchObject({status: 0, report: {ok: true}});
});

test('a note of a cleanup or a verdict that cannot be read is reported, and what doctor says helps', async () => {
  const desk = openDesk();
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  const manifest = desk.storedKeys().find((key) => key.endsWith('_full/manifest'))!;
  const note = `removals/${'0'.repeat(32)}`;
  const verdict = `${manifest.slice(0, -'manifest'.length)}verdict/${'1'.repeat(32)}`;
  for (const key of [note, verdict]) {
    mkdirSync(join(desk.cluster, dirname(key)), {recursive: true});
    writeFileSync(join(desk.cluster, key), '');
  }
  expect((await desk.refused('BACKUP c INCREMENTAL')).stderr).toContain(note);
  const {status, report} = await doctor(desk);
  expect(status).toBe(1);
  const faults = report.checks.filter(({what}) => what === 'vault: note');
  expect(faults.map(({detail}) => detail)).toEqual([note, verdict].map((key) => expect.stringContaining(key)));
  for (const [at, key] of [note, verdict].entries()) {
    expect(faults[at]!.next).toContain(`remove ${key}`);
    rmSync(join(desk.cluster, key));
  }
  expect((await doctor(desk)).report.checks.filter(({what}) => what === 'vault: note')).toEqual([]);
  await desk.sqlWait('BACKUP c INCREMENTAL');
});
