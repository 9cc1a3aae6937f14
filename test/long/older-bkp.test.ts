import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {blake3} from '@napi-rs/blake-hash';
import {afterAll, expect, test} from 'vitest';
import {newKey} from '../../src/vault/index.ts';
import {runBkp} from '../helpers/bkp.ts';
import {backupsOf, createC, type Desk, openDesk} from '../helpers/desk.ts';

// The bkp before vaults could be encrypted, built from the history of this repository, on the vaults of this one.

const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'bkp-older-'));
afterAll(() => rmSync(folder, {recursive: true, force: true, maxRetries: 20, retryDelay: 100}));

const git = (...args: string[]) => execFileSync('git', args, {cwd: root, maxBuffer: 2 ** 28});

/** The commit before the first one with encryption. @returns undefined without this part of the history */
function commitBefore(): string | undefined {
  try {
    const added = git('log', '--format=%H', '--diff-filter=A', '--', 'src/vault/crypto/sealed-store.ts');
    const first = added.toString().trim().split('\n').at(-1);
    return first && git('rev-parse', '--verify', '--quiet', `${first}^`).toString().trim();
  } catch {
    return undefined;
  }
}

const commit = commitBefore();
let built: string | undefined;

/** @returns its entry file */
function olderBkp(): string {
  if (built !== undefined) return built;
  execFileSync('tar', ['-x', '-C', folder], {
    input: git('archive', commit!, 'package.json', 'src', 'scripts', 'assembly', 'bin'),
  });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
  execFileSync(process.execPath, ['scripts/build.js'], {cwd: folder, stdio: 'pipe'});
  built = join(folder, 'bin', 'bkp.js');
  return built;
}

const older = (desk: Desk, ...args: string[]) =>
  runBkp(args, {
    home: join(desk.folder, 'older'),
    env: {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster},
    cwd: desk.folder,
    file: olderBkp(),
  });

const testWithHistory = test.skipIf(commit === undefined);
test.skipIf(commit !== undefined)('an older bkp cannot be built: get the history (git fetch --unshallow)', () => {});

const bytesIn = (desk: Desk) =>
  Object.fromEntries(desk.storedKeys().map((key) => [key, readFileSync(join(desk.cluster, key), 'base64')]));

const commands = [
  ['sql', 'SHOW BACKUP COLLECTIONS'],
  ['sql', 'SHOW BACKUPS IN c'],
  ['sql', '--wait', 'BACKUP c'],
  ['sql', '--wait', 'BACKUP c INCREMENTAL'],
  ['sql', '--wait', 'RESTORE c'],
  ['sql', '--wait', 'VERIFY c'],
  ['sql', "CREATE BACKUP COLLECTION d (TABLE orders) WITH (STORAGE='cluster')"],
  ['sql', "ALTER BACKUP COLLECTION c SET (KEEP_LATEST='1')"],
  ['sql', 'DROP BACKUP COLLECTION c'],
  ['collection', 'cleanup'],
  ['collection', 'list'],
];

/** Every command of the older bkp says the same, and changes neither the store nor the database. */
async function expectRefused(desk: Desk, message: RegExp, given = commands): Promise<void> {
  const [stored, rows] = [bytesIn(desk), desk.all('SELECT * FROM orders')];
  for (const command of given) {
    const {status, stdout, stderr} = await older(desk, ...command);
    const said = `${stdout}${stderr}`.replace(/\s+/g, ' ');
    expect([command, status, said]).toEqual([command, 12, expect.stringMatching(message)]);
    expect(said).toContain('install the newest bkp');
    expect(bytesIn(desk)).toEqual(stored);
  }
  expect(desk.all('SELECT * FROM orders')).toEqual(rows);
  expect(desk.column("SELECT name FROM sqlite_schema WHERE name LIKE '_bkp%'")).toEqual([]);
}

testWithHistory(
  'the bkp before encryption refuses an encrypted vault as that of a newer bkp, and writes nothing',
  async () => {
    const desk = openDesk();
    const file = join(desk.folder, 'password');
    writeFileSync(file, newKey().code);
    await desk.bkp('config', 'set', 'vault.password.command', `cat '${file}'`);
    await desk.sql(createC(false));
    await desk.sqlWait('BACKUP c');
    await expectRefused(desk, /written by a newer bkp \(encryption bkp-1\)/);
    await desk.sqlWait('VERIFY c');
  },
);

testWithHistory('it refuses a vault of a newer format in the same way', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  const header = join(desk.cluster, 'bkp.json');
  const {checksum: _, ...rest} = JSON.parse(readFileSync(header, 'utf8')) as Record<string, unknown>;
  const newer = {...rest, version: 2};
  const text = JSON.stringify(newer);
  writeFileSync(header, JSON.stringify({...newer, checksum: blake3(text).toString('hex')}));
  await expectRefused(desk, /written by a newer bkp/, commands.slice(2, 6));
});

testWithHistory('it reads a plain vault of this bkp, and both go on with the backups of the other', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  const target = join(desk.folder, 'restored.db');
  const restored = await older(desk, '--source', target, 'sql', '--wait', 'RESTORE c');
  expect(restored).toMatchObject({status: 0});
  expect(desk.all('SELECT * FROM orders', target)).toEqual(desk.all('SELECT * FROM orders'));
  desk.exec("INSERT INTO orders VALUES (4, 40, 'four')");
  expect(await older(desk, 'sql', '--wait', 'BACKUP c')).toMatchObject({status: 0});
  expect(await backupsOf(desk)).toHaveLength(2);
  await desk.sqlWait('VERIFY c');
  await desk.sqlWait('BACKUP c');
  expect(await older(desk, 'sql', '--wait', 'VERIFY c')).toMatchObject({status: 0});
});
