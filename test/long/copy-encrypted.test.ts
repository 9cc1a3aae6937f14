import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {type Desk, openDesk} from '../helpers/desk.ts';
import {runTyped} from '../helpers/typed.ts';

const schema = "CREATE TABLE orders (id INTEGER PRIMARY KEY, v); INSERT INTO orders VALUES (1, 'a'), (2, 'b')";
const manual = readFileSync(join(import.meta.dirname, '../../docs/encryption.md'), 'utf8');

const createIn = (storage: string) =>
  `CREATE BACKUP COLLECTION shop (TABLE orders) WITH (STORAGE='${storage}', INCREMENTAL_BACKUP_ENABLED='true')`;
const encryptionIn = (desk: Desk, folder: string) =>
  (JSON.parse(readFileSync(join(desk.folder, folder, 'bkp.json'), 'utf8')) as {encryption: string}).encryption;

/** @param folder of the desk, the target of a statement */
const copyTo = (desk: Desk, folder: string) => `COPY BACKUP COLLECTION shop TO 'fs::root=${join(desk.folder, folder)}'`;

async function set(desk: Desk, settings: Record<string, string>): Promise<void> {
  for (const [key, value] of Object.entries(settings))
    expect((await desk.bkp('config', 'set', key, value)).status, key).toBe(0);
}

async function setPassword(desk: Desk): Promise<void> {
  writeFileSync(join(desk.folder, 'password'), 'correct horse');
  await set(desk, {'vault.password.command': `cat '${join(desk.folder, 'password')}'`});
}

test('what the manual types moves the backups of a plain vault into an encrypted one', async () => {
  const desk = openDesk(schema);
  const file = join(desk.folder, 'password');
  writeFileSync(file, 'correct horse');
  const [section] = /^### From a plain vault to an encrypted one\n[\s\S]*?(?=^## )/m.exec(manual)!;
  const typed = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block!).join('');
  const target = join(desk.folder, 'encrypted');
  const type = (lines: string) =>
    runTyped(lines.replaceAll('/mnt/encrypted', target).replace('pass show bkp', `cat "${file}"`), {
      cwd: desk.folder,
      home: desk.home,
      env: {BKP_SOURCE: desk.database},
    });
  await type(`bkp config set cluster plain\nbkp sql "${createIn('cluster')}"\nbkp sql -w "BACKUP shop"`);
  await type(typed);
  expect(encryptionIn(desk, 'plain')).toBe('none');
  expect(encryptionIn(desk, 'encrypted')).toBe('bkp-1');

  desk.exec("INSERT INTO orders VALUES (3, 'c')");
  await type('bkp sql -w "BACKUP shop INCREMENTAL"');
  await type(`bkp --source sqlite::path=restored.db sql -w "RESTORE shop"`);
  expect(desk.column('SELECT v FROM orders ORDER BY id', join(desk.folder, 'restored.db'))).toEqual(['a', 'b', 'c']);
});

test.each(['auto', 'off'])(
  'a copy of a plain vault whose setting is %s is encrypted in an empty store if a password is set',
  async (mode) => {
    const desk = openDesk(schema);
    await desk.sql(createIn('cluster'));
    await desk.sqlWait('BACKUP shop');
    await setPassword(desk);
    await set(desk, {'vault.cluster.encryption': mode});
    await desk.sqlWait(copyTo(desk, 'usb'));
    expect(encryptionIn(desk, 'usb')).toBe('bkp-1');
    await desk.sqlWait(copyTo(desk, 'usb'));
  },
);

test('a plain vault is not even read where encryption is required, and the next step makes it the source', async () => {
  const desk = openDesk(schema);
  await desk.sql(createIn('cluster'));
  await desk.sqlWait('BACKUP shop');
  await setPassword(desk);
  await set(desk, {'vault.cluster.encryption': 'required'});
  const {stderr} = await desk.refused(copyTo(desk, 'usb'));
  expect(stderr).toContain('vault.cluster.encryption is required');
  expect(stderr.replace(/\s+/g, ' ')).toContain('bkp config set vault.cluster.encryption auto, then bkp sql "COPY');
  await set(desk, {'vault.cluster.encryption': 'auto'});
  await desk.sqlWait(copyTo(desk, 'usb'));
  expect(encryptionIn(desk, 'usb')).toBe('bkp-1');
});

test('a copy of an encrypted vault is plain only in a store of the profile whose setting says so', async () => {
  const desk = openDesk(schema);
  mkdirSync(join(desk.folder, 'bucket'));
  await setPassword(desk);
  await set(desk, {
    'vault.cluster.encryption': 'off',
    'vault.s3.encryption': 'required',
    'backup.object.store': `fs::root=${join(desk.folder, 'bucket')}`,
  });
  await desk.sql(createIn('s3'));
  await desk.sqlWait('BACKUP shop');
  expect(encryptionIn(desk, 'bucket')).toBe('bkp-1');

  await desk.sqlWait(copyTo(desk, 'usb'));
  expect(encryptionIn(desk, 'usb')).toBe('bkp-1');

  const made = await desk.bkp('--store', 'cluster', '--cluster', join(desk.folder, 'plain'), 'vault', 'create');
  expect(made.status, made.stderr).toBe(0);
  expect(encryptionIn(desk, 'plain')).toBe('none');
  const refused = await desk.refused(copyTo(desk, 'plain'));
  expect(refused.status).toBe(12);
  expect(refused.stderr).toContain('their copy would be plain');

  const said = await desk.bkp('sql', '--wait', "COPY BACKUP COLLECTION shop TO 'cluster'");
  expect(said.status, said.stderr).toBe(0);
  expect(said.stderr).toContain('is not encrypted: the copy can be read');
  expect(encryptionIn(desk, 'cluster')).toBe('none');
});
