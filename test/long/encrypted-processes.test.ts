import {cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, join} from 'node:path';
import {zstdCompressSync} from 'node:zlib';
import {expect, onTestFinished, test} from 'vitest';
import {runBkp} from '../helpers/bkp.ts';
import {filesIn, holding, watchProcesses} from '../helpers/canaries.ts';
import {type Desk, openDesk} from '../helpers/desk.ts';

const schema = `
  CREATE TABLE canarytable (id INTEGER PRIMARY KEY, canarycolumn TEXT);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
  INSERT INTO canarytable SELECT i, 'canaryvalue ' || i FROM n;
`;
const create =
  "CREATE BACKUP COLLECTION canarycollection (TABLE canarytable) WITH (STORAGE='cluster', " +
  "INCREMENTAL_BACKUP_ENABLED='true')";

const secret = {BKP_PASSWORD: 'a canarypassword'};

async function encryptedDesk(): Promise<Desk> {
  const desk = openDesk(schema, secret);
  await desk.sql(create);
  await desk.sqlWait('BACKUP canarycollection');
  return desk;
}

test('a value is found in whatever form a plain object would have it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-canaries-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  const rows = Buffer.from('canaryvalue 1, canaryvalue 2, '.repeat(1000));
  const forms: Record<string, Buffer> = {
    plain: rows,
    compressed: Buffer.concat([Buffer.from('BKPS'), zstdCompressSync(rows), Buffer.alloc(7)]),
    odd: Buffer.concat([Buffer.alloc(1), Buffer.from('canaryvalue', 'utf16le')]),
    canaryvalue: Buffer.alloc(0),
    none: Buffer.from('nothing'),
  };
  for (const [name, bytes] of Object.entries(forms)) writeFileSync(join(folder, name), bytes);
  const found = holding(folder, ['canaryvalue']).map((path) => basename(path));
  expect(found.sort()).toEqual(['canaryvalue', 'compressed', 'odd', 'plain']);
});

test('neither the store nor the home has a name, a value or the password, whatever command ran', async () => {
  const desk = openDesk(schema, secret);
  const isWorker = (line: string) => line.includes('\0worker\0');
  const seen = watchProcesses(isWorker, () => ['canarypassword']);
  await desk.sql(create);
  await desk.sqlWait('BACKUP canarycollection');
  desk.exec("UPDATE canarytable SET canarycolumn = 'canaryvalue new' WHERE id % 10 = 0");
  await desk.sqlWait('BACKUP canarycollection INCREMENTAL');
  await desk.sqlWait("VERIFY canarycollection WITH (LEVEL='data')");
  const other = join(desk.folder, 'other');
  await desk.sqlWait(`COPY BACKUP COLLECTION canarycollection TO 'fs::root=${other}'`);
  await desk.sqlWait('BACKUP canarycollection');
  await desk.sqlWait("VERIFY canarycollection WITH (LEVEL='restore')");
  await desk.sqlWait("VERIFY canarycollection WITH (LEVEL='source')");
  await desk.sqlWait('RESTORE canarycollection TABLE canarytable AS canarycopy');
  await desk.sqlWait("RESTORE canarycollection TABLE canarytable WITH (MODE='replace')");
  for (const args of [
    ...[['doctor'], ['metrics'], ['store', 'check'], ['collection', 'list'], ['scheduler', '--once']],
    ['diff', 'canarycollection', '--rows'],
    ['export', 'canarycollection', join(desk.folder, 'canarytable.csv')],
    ['restore', 'canarycollection', '--dry-run', '--into', join(desk.folder, 'new.db')],
    ...[
      ['report', 'list'],
      ['retention', 'plan', 'canarycollection'],
      ['store', 'forget', '--gone'],
    ],
  ]) {
    const result = await desk.bkp(...args);
    expect(result, `${args.join(' ')}: ${result.stderr}`).not.toMatchObject({status: 2});
  }
  await desk.sql('SHOW BACKUPS IN canarycollection');
  await desk.sql('SELECT count(*) FROM backup(canarycollection).canarytable');
  for (const store of [desk.cluster, other]) {
    expect(filesIn(store).length).toBeGreaterThan(8);
    expect(holding(store, ['canary'])).toEqual([]);
  }
  await desk.sql('DROP BACKUP COLLECTION canarycollection');
  await desk.bkp('operation', 'wait', 'last');
  expect(holding(desk.cluster, ['canary'])).toEqual([]);
  const processes = seen.end();
  // The journal names the collection and its table, and the logs do; the journal also the columns that a restore makes.
  expect(holding(desk.home, ['canaryvalue', 'canarypassword'])).toEqual([]);
  const naming = holding(desk.home, ['canarycolumn']).filter((file) => !file.startsWith(join(desk.home, 'journal.db')));
  expect(naming).toEqual([]);
  expect(processes.count).toBeGreaterThan(0);
  expect(processes.leaks).toEqual([]);
});

test('a machine with nothing but the store and the password restores it, from every place of a password', async () => {
  const desk = await encryptedDesk();
  const file = join(desk.folder, 'password');
  writeFileSync(file, `${secret.BKP_PASSWORD}\n`, {mode: 0o600});
  const credentials = join(desk.folder, 'credentials');
  cpSync(file, join(credentials, 'bkp.password'));
  const places = [
    {BKP_PASSWORD_FILE: file},
    {BKP_PASSWORD_COMMAND: `cat '${file}'`},
    {CREDENTIALS_DIRECTORY: credentials},
  ];
  for (const [at, env] of places.entries()) {
    const home = join(desk.folder, `home-${at}`);
    const target = join(desk.folder, `restored-${at}.db`);
    const result = await runBkp(['sql', '--wait', 'RESTORE canarycollection'], {
      home,
      cwd: desk.folder,
      env: {BKP_CLUSTER: desk.cluster, BKP_SOURCE: target, ...env},
    });
    expect(result.stderr).toContain('SUCCESS');
    expect(desk.all('SELECT * FROM canarytable', target)).toEqual(desk.all('SELECT * FROM canarytable'));
  }
});

test('without the right password nothing is read, written or begun, and the message says what to do', async () => {
  const desk = await encryptedDesk();
  const before = desk.storedKeys();
  const run = (env: Record<string, string>, home = desk.home) =>
    runBkp(['sql', 'BACKUP canarycollection'], {
      home,
      cwd: desk.folder,
      env: {BKP_CLUSTER: desk.cluster, BKP_SOURCE: desk.database, ...env},
    });
  const cases: [Record<string, string>, string][] = [
    [{}, 'is encrypted, and no password is set'],
    [{BKP_PASSWORD: 'another'}, 'this password opens no slot'],
    [{BKP_PASSWORD: 'another'}, 'it was taken from vault.password of environment BKP_PASSWORD\n'],
    [{BKP_PASSWORD_COMMAND: 'echo other'}, 'vault.password.command of environment BKP_PASSWORD_COMMAND\n'],
    [{BKP_PASSWORD_COMMAND: 'exit 3'}, 'the command that prints the password of the vault failed'],
    [{BKP_PASSWORD_COMMAND: 'true'}, 'what the password command prints is empty'],
    [{BKP_PASSWORD_COMMAND: 'printf "a\\nb\\n"'}, 'has more than one line'],
    [{BKP_PASSWORD_COMMAND: 'kill -9 $$'}, 'it was ended by SIGKILL'],
    [{BKP_PASSWORD: 'BKP-KEY1-AAAA-BBBB'}, 'the key is mistyped'],
  ];
  for (const [env, words] of cases) {
    const {status, stderr} = await run(env);
    expect(stderr).toContain(words);
    expect(stderr).toContain('next: ');
    expect([2, 12]).toContain(status);
  }
  expect(desk.storedKeys()).toEqual(before);
});

test('a store that held an encrypted vault is refused when it shows a plain one, or another one', async () => {
  const desk = await encryptedDesk();
  const header = join(desk.cluster, 'bkp.json');

  const plain = openDesk(schema);
  await plain.sql(create);
  writeFileSync(header, readFileSync(join(plain.cluster, 'bkp.json')));
  expect((await desk.refused('BACKUP canarycollection')).stderr).toContain('is not encrypted, but was before');

  // Also without a password: the home remembers.
  const bare = await runBkp(['sql', 'BACKUP canarycollection'], {
    home: desk.home,
    cwd: desk.folder,
    env: {BKP_CLUSTER: desk.cluster, BKP_SOURCE: desk.database},
  });
  expect(bare.stderr).toContain('is not encrypted, but was before');

  const other = await encryptedDesk();
  rmSync(desk.cluster, {recursive: true});
  cpSync(other.cluster, desk.cluster, {recursive: true});
  expect((await desk.refused('BACKUP canarycollection')).stderr).toContain('holds another encrypted vault than before');
  expect((await desk.bkp('store', 'forget')).status).toBe(0);
  await desk.sqlWait('RESTORE canarycollection TABLE canarytable AS again');
});

test('a vault that is not encrypted is refused with a password, unless the settings allow it', async () => {
  const plain = openDesk(schema);
  await plain.sql(create);
  const before = plain.storedKeys();
  const run = (env: Record<string, string>) =>
    runBkp(['sql', '--wait', 'BACKUP canarycollection'], {
      home: plain.home,
      cwd: plain.folder,
      env: {BKP_CLUSTER: plain.cluster, BKP_SOURCE: plain.database, ...env},
    });
  const refused = await run(secret);
  expect(refused.stderr).toContain('is not encrypted');
  expect(refused.status).toBe(12);
  expect((await run({BKP_VAULT_CLUSTER_ENCRYPTION: 'required'})).status).toBe(12);
  expect(plain.storedKeys()).toEqual(before);
  expect((await run({...secret, BKP_VAULT_CLUSTER_ENCRYPTION: 'off'})).status).toBe(0);
});

test('the header of an encrypted vault is written again as that of an encrypted one', async () => {
  const desk = await encryptedDesk();
  const header = join(desk.cluster, 'bkp.json');
  const original = readFileSync(header, 'utf8');
  rmSync(header);
  expect((await desk.refused('BACKUP canarycollection')).status).toBe(13);
  await desk.bkp('doctor', '--repair');
  expect(readFileSync(header, 'utf8')).toBe(original);
  await desk.sqlWait('BACKUP canarycollection');
});

test('VERIFY writes a lost copy of a key again, and says so', async () => {
  const desk = await encryptedDesk();
  const keys = () => desk.storedKeys().filter((key) => key.startsWith('keys/'));
  const before = keys();
  const lost = before.find((key) => key.startsWith('keys/spare/rings/'))!;
  rmSync(join(desk.cluster, lost));
  const {status, stderr} = await desk.bkp('sql', '--wait', 'VERIFY canarycollection');
  expect(status).toBe(0);
  expect(stderr).toContain(`1 lost or damaged object of the keys written again: ${lost}`);
  expect(keys()).toEqual(before);
});
