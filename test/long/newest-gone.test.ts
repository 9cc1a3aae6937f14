import {readdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {newKey} from '../../src/vault/index.ts';
import type {RunResult} from '../helpers/bkp.ts';
import {backupsOf, createC, type Desk, openDesk} from '../helpers/desk.ts';

/** A desk with an encrypted vault. */
async function encryptedDesk(): Promise<Desk> {
  const desk = openDesk();
  const file = join(desk.folder, 'password');
  writeFileSync(file, newKey().code);
  await desk.bkp('config', 'set', 'vault.password.command', `cat '${file}'`);
  return desk;
}

/** Removes from the store, as somebody without the keys, all whose path has one of these parts. */
function steal(desk: Desk, ...parts: string[]): void {
  const gone = desk.storedKeys().filter((key) => parts.some((part) => key.includes(part)));
  expect(gone.length).toBeGreaterThan(0);
  for (const key of gone) rmSync(join(desk.cluster, key));
}

const refusal = (result: RunResult) => ({status: result.status, text: result.stderr.replace(/\s+/g, ' ')});
const missed = (label: string) => new RegExp(`the newest backup ${label}[^ ]* is gone from fs::root=`);

test('the newest backup of a collection is missed by every statement that would take an older one for it', async () => {
  const desk = await encryptedDesk();
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  desk.exec("INSERT INTO orders VALUES (4, 40, 'four')");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const [old, newest] = (await backupsOf(desk)) as [string, string];
  steal(desk, newest);

  const target = join(desk.folder, 'restored.db');
  const restore = (text: string) => desk.bkp('--source', target, 'sql', '--wait', text);
  const label = `c/${newest}`;
  for (const text of ['RESTORE c', "RESTORE c AT '2900-01-01'"]) {
    const {status, text: said} = refusal(await restore(text));
    expect(status).toBe(12);
    expect(said).toMatch(missed(label));
    expect(said).toContain(`this machine has seen it there`);
    expect(said).toContain(`to use the newest one that is left: AT '${old}'`);
  }
  expect(desk.has('restored.db')).toBe(false);
  const verified = refusal(await desk.refused('VERIFY c'));
  expect(verified.text).toMatch(missed(label));
  const doctor = await desk.bkp('doctor');
  expect(doctor.status).not.toBe(0);
  expect(doctor.stdout).toMatch(missed(label));
  const shown = await desk.bkp('sql', 'SHOW BACKUPS IN c');
  expect(shown.stderr).toMatch(missed(label));
  // What the message says.
  expect(await restore(`RESTORE c AT '${old}'`)).toMatchObject({status: 0});
  expect(desk.column('SELECT count(*) FROM orders', target)).toEqual([3]);

  // A new backup says so, and is the newest one again.
  const taken = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(taken.status).toBe(0);
  expect(taken.stdout + taken.stderr).toMatch(missed(label));
  expect(await desk.bkp('sql', '--wait', 'VERIFY c')).toMatchObject({status: 0});
  expect(await restore('DROP BACKUP COLLECTION c')).toMatchObject({status: 0});
  expect((await desk.bkp('doctor')).stdout).not.toContain('is gone from');
});

test('a collection that is gone altogether is no collection that never was, until that is accepted', async () => {
  const desk = await encryptedDesk();
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  const [backup] = await backupsOf(desk);
  steal(desk, '.backups/');
  for (const text of ['RESTORE c', 'BACKUP c']) {
    const {status, text: said} = refusal(await desk.refused(text));
    expect([status, said]).toEqual([12, expect.stringMatching(missed(`c/${backup}`))]);
  }
  const accepted = await desk.bkp('store', 'forget', '--gone');
  expect(accepted).toMatchObject({status: 0, stdout: expect.stringContaining(`c/${backup}: no longer expected`)});
  expect((await desk.bkp('store', 'forget', '--gone')).stdout).toContain('no backup is gone');
  expect((await desk.refused('RESTORE c')).stderr).toContain('does not exist');
  await desk.sql(createC(false));
  expect((await desk.sqlWait('BACKUP c')).includes('is gone')).toBe(false);
});

test('what bkp itself removes is missed by no machine: DROP BACKUP, DROP BACKUP COLLECTION, retention', async () => {
  const desk = await encryptedDesk();
  await desk.sql(createC(false));
  for (let n = 0; n < 2; n++) await desk.sqlWait('BACKUP c');
  const other = (...args: string[]) => desk.bkp('--home', join(desk.folder, 'other'), ...args);
  await other('config', 'set', 'vault.password.command', `cat '${join(desk.folder, 'password')}'`);
  const quiet = async () => {
    for (const bkp of [desk.bkp, other]) {
      const result = await bkp('sql', 'SELECT * FROM backups(); SHOW BACKUP COLLECTIONS');
      expect(`${result.stdout}${result.stderr}`).not.toContain('is gone from');
    }
  };
  await quiet();
  const newest = (await backupsOf(desk)).at(-1)!;
  await desk.sqlWait(`DROP BACKUP c AT '${newest}'`);
  await quiet();
  await desk.sql("ALTER BACKUP COLLECTION c SET (KEEP_LATEST='1')");
  await desk.sqlWait('BACKUP c');
  await quiet();
  await desk.sqlWait('DROP BACKUP COLLECTION c');
  await desk.bkp('collection', 'cleanup');
  await quiet();
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  await quiet();
  expect(readdirSync(join(desk.home, 'vaults')).filter((name) => name.endsWith('-backups.json'))).toHaveLength(1);
});

test('the newest backup of a whole database, and the only one of another, are missed as well', async () => {
  const desk = await encryptedDesk();
  const at = (...args: string[]) => desk.bkp('--store', `fs::root=${desk.cluster}`, ...args);
  const sql = (text: string) => at('sql', '--wait', text);
  for (let n = 0; n < 2; n++) expect(await sql('BACKUP DATABASE')).toMatchObject({status: 0});
  // Another machine, which shows them once.
  const fresh = (...args: string[]) => at('--home', join(desk.folder, 'other'), ...args);
  await fresh('config', 'set', 'vault.password.command', `cat '${join(desk.folder, 'password')}'`);
  expect(await fresh('sql', 'SELECT * FROM backups()')).toMatchObject({status: 0});
  const manifests = desk.storedKeys().filter((key) => key.endsWith('/manifest'));
  const [, instance, newest] = manifests.at(-1)!.split('/') as [string, string, string];
  steal(desk, newest);
  const root = join(desk.folder, 'back');
  for (const run of [at, fresh]) {
    const {status, text: said} = refusal(await run('restore', '--root', root));
    expect([status, said]).toEqual([12, expect.stringMatching(missed(`${instance}/${newest}`))]);
    const [, timestamp] = /TO TIMESTAMP '([^']+)'/.exec(said)!;
    expect(said).toContain('to use the newest one that is left');
    expect(timestamp).toMatch(/^20.*Z$/);
    expect((await run('sql', '--wait', 'VERIFY DATABASE')).stderr.replace(/\s+/g, ' ')).toMatch(
      missed(`${instance}/${newest}`),
    );
  }
  expect(desk.has('back')).toBe(false);
  const taken = await sql('BACKUP DATABASE');
  expect([taken.status, taken.stdout + taken.stderr]).toEqual([0, expect.stringMatching(missed(`${instance}/`))]);
  expect(await at('restore', '--root', root)).toMatchObject({status: 0});

  steal(desk, `backup/${instance}`);
  const {status, text: said} = refusal(await at('restore', '--root', join(desk.folder, 'again')));
  expect([status, said]).toEqual([12, expect.stringMatching(missed(`${instance}/`))]);
});
