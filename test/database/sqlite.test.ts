import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {
  listDatabaseBackups,
  planDatabaseRestore,
  planDatabaseRetention,
  restoreDatabase,
  takeDatabaseBackup,
  verifyDatabaseBackups,
} from '../../src/database/index.ts';
import {openFileSource, openFileTarget, openSource} from '../../src/sources/index.ts';
import type {Vault} from '../../src/vault/index.ts';
import fc from '../seeds/fast-check.ts';
import {newStore, open} from '../vault/helpers.ts';
import {surroundings, takeBackup, toRemove} from './fakes.ts';

const runs = 12 * Number(process.env.BKP_TEST_RUNS ?? 1);

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'bkp-database-'));
  onTestFinished(() => rmSync(path, {recursive: true, force: true}));
  return path;
}

/** Each statement through its own connection, closed before the files are read. */
function execute<T>(path: string, use: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path, {timeout: 10_000});
  try {
    return use(db);
  } finally {
    db.close();
  }
}

async function restore(vault: Vault, path: string, at?: number): Promise<void> {
  const target = await openFileTarget('sqlite', {place: path});
  const plan = await planDatabaseRestore({vault, target}, at === undefined ? {} : {at});
  expect(plan.inTheWay).toBeUndefined();
  expect(plan.freeBytes).toBeGreaterThan(plan.neededBytes);
  await restoreDatabase({...surroundings(), vault, target}, plan);
}

const statement = fc.oneof(
  fc.record({n: fc.integer({min: 1, max: 400}), size: fc.nat(900)}).map(
    ({n, size}) =>
      `WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < ${n})
          INSERT INTO t (a) SELECT randomblob(${size}) FROM i`,
  ),
  fc.nat(20).map((n) => `UPDATE t SET a = randomblob(100) WHERE k % 21 = ${n}`),
  fc.nat(5).map((n) => `DELETE FROM t WHERE k % 6 = ${n}`),
  fc.constantFrom(
    'VACUUM',
    'CREATE INDEX IF NOT EXISTS i ON t (a)',
    'DROP INDEX IF EXISTS i',
    'PRAGMA journal_mode = DELETE',
    'PRAGMA journal_mode = WAL',
  ),
  fc.constant('CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5 (a)'),
);

test('every backup of a random history of an SQLite database is restored byte by byte', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof({weight: 3, arbitrary: statement}, {weight: 1, arbitrary: fc.constantFrom('backup', 'differences')}),
        {
          minLength: 3,
          maxLength: 20,
        },
      ),
      async (steps) => {
        const place = folder();
        const path = join(place, 'app.db');
        execute(path, (db) =>
          db.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; CREATE TABLE t (k INTEGER PRIMARY KEY, a)'),
        );
        const vault = await open(newStore());
        const source = await openFileSource({scheme: 'sqlite', path});
        await source.dataId();
        const taken: Buffer[] = [];
        for (const step of [...steps, 'backup']) {
          if (step !== 'backup' && step !== 'differences')
            execute(path, (db) => db.exec(`PRAGMA synchronous = OFF; ${step}`));
          else {
            taken.push(execute(path, (db) => Buffer.from(db.serialize('main'))));
            await takeBackup(vault, source, {differences: step === 'differences'});
          }
        }
        const backups = await listDatabaseBackups(vault);
        expect(backups).toHaveLength(taken.length);
        for (const [n, {timestampMicros}] of backups.entries()) {
          const restored = join(place, `${n}.db`);
          await restore(vault, restored, timestampMicros);
          expect(readFileSync(restored).equals(taken[n]!)).toBe(true);
        }
      },
    ),
    {numRuns: runs},
  );
});

test('a backup taken while another process writes is consistent, and stores only what changed', async () => {
  const place = folder();
  const path = join(place, 'app.db');
  execute(path, (db) =>
    db.exec(`PRAGMA journal_mode = WAL; CREATE TABLE row (id INTEGER PRIMARY KEY, n INTEGER, filler BLOB);
      CREATE TABLE total (rows INTEGER, sum INTEGER); INSERT INTO total VALUES (0, 0); CREATE TABLE still (a);
      INSERT INTO still SELECT randomblob(3000000)`),
  );
  const child = join(import.meta.dirname, '../sources/sqlite/children/busy-writer.ts');
  const writer = spawn(process.execPath, [child, path, '100', 'stay'], {stdio: ['ignore', 'pipe', 'inherit']});
  const exit = once(writer, 'exit');
  onTestFinished(async () => {
    writer.kill('SIGKILL');
    await exit;
  });
  await once(writer.stdout, 'data');
  const vault = await open(newStore());
  const source = await openFileSource({scheme: 'sqlite', path});
  const reports = [];
  for (let n = 0; n < 4; n++) reports.push(await takeBackup(vault, source, {differences: true}));
  expect(writer.exitCode).toBeNull();
  writer.kill('SIGKILL');
  for (const {storedBytes} of reports.slice(1)) expect(storedBytes).toBeLessThan(reports[0]!.storedBytes / 2);
  await verifyDatabaseBackups({...surroundings(), vault}, {level: 'data'});
  for (const {timestampMicros} of await listDatabaseBackups(vault)) {
    const restored = join(place, `${timestampMicros}.db`);
    await restore(vault, restored, timestampMicros);
    execute(restored, (db) => {
      expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{integrity_check: 'ok'}]);
      const rows = db.prepare('SELECT count(*) AS rows, coalesce(sum(n), 0) AS sum FROM row').get();
      expect(db.prepare('SELECT rows, sum FROM total').get()).toEqual(rows);
    });
  }
});

test('a restored database continues its instance at the same place, and elsewhere when adopted', async () => {
  const place = folder();
  const path = join(place, 'app.db');
  execute(path, (db) => db.exec('CREATE TABLE t (a)'));
  const vault = await open(newStore());
  const {instance} = await takeBackup(vault, await openFileSource({scheme: 'sqlite', path}));
  const restored = join(place, 'restored.db');
  await restore(vault, restored);
  const moved = await openFileSource({scheme: 'sqlite', path: restored});
  expect((await takeBackup(vault, moved)).instance).not.toBe(instance);
  expect(await takeBackup(vault, moved, {adopt: instance})).toMatchObject({instance, storedBytes: 0});
  rmSync(path);
  renameSync(restored, path);
  expect(await takeBackup(vault, await openFileSource({scheme: 'sqlite', path}))).toMatchObject({instance});
});

test('a restore over a database is refused, and so is a restore of single SQLite tables', async () => {
  const place = folder();
  const path = join(place, 'app.db');
  execute(path, (db) => db.exec('CREATE TABLE t (a)'));
  const vault = await open(newStore());
  await takeBackup(vault, await openFileSource({scheme: 'sqlite', path}));
  const target = await openFileTarget('sqlite', {place: path});
  const plan = await planDatabaseRestore({vault, target}, {});
  expect(plan.inTheWay).toBe('The local database is not empty.');
  const before = readFileSync(path);
  await expect(restoreDatabase({...surroundings(), vault, target}, plan)).rejects.toMatchObject({code: 'TABLE_EXISTS'});
  expect(readFileSync(path).equals(before)).toBe(true);
  await expect(planDatabaseRestore({vault}, {tables: ['t']})).rejects.toMatchObject({code: 'UNSUPPORTED'});
});

test('a database that needs its application is restored, and what could not be checked is reported', async () => {
  const place = folder();
  const path = join(place, 'app.db');
  execute(path, (db) => {
    db.function('fold', {deterministic: true}, (text: unknown) => String(text).toLowerCase());
    db.exec(`CREATE TABLE t (a CHECK (fold(a) <> '')); CREATE INDEX i ON t (fold(a)); INSERT INTO t VALUES ('x')`);
  });
  const vault = await open(newStore());
  const notices: string[] = [];
  const tools = {...surroundings(), notice: (text: string) => notices.push(text), vault};
  const source = await openFileSource({scheme: 'sqlite', path});
  await takeDatabaseBackup({...tools, source}, {operation: 'backup/1'});
  const restored = join(place, 'restored.db');
  const target = await openFileTarget('sqlite', {place: restored});
  await restoreDatabase({...tools, target}, await planDatabaseRestore({vault, target}, {}));
  expect(readFileSync(restored).equals(readFileSync(path))).toBe(true);
  const unchecked = notices.filter((text) => text.includes('is incomplete') && text.includes('fold'));
  expect(unchecked).toHaveLength(2);
});

test('a backup reports damage of its source, and displaces no sound backup', async () => {
  const place = folder();
  const path = join(place, 'app.db');
  execute(path, (db) => db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(100000))'));
  const vault = await open(newStore());
  const source = await openFileSource({scheme: 'sqlite', path});
  await takeBackup(vault, source);
  const bytes = readFileSync(path);
  bytes.fill(0xa5, 8192, 12_288);
  writeFileSync(path, bytes);
  const notices: string[] = [];
  const tools = {...surroundings(), notice: (text: string) => notices.push(text), vault, source};
  for (let n = 0; n < 3; n++) await takeDatabaseBackup(tools, {operation: `backup/${n}`});
  expect(notices.filter((text) => text.includes('finds damage'))).toHaveLength(3);
  const backups = await listDatabaseBackups(vault);
  expect(toRemove(planDatabaseRetention(backups, {keepLatest: 1}, Date.now()))).toEqual([]);
  const [sound, ...damaged] = backups;
  expect(sound?.body?.sourceDamage).toBeUndefined();
  expect(damaged.map(({body}) => body?.sourceDamage)).not.toContain(undefined);
});

test('a database keeps its instance when the last collection that tracked it is dropped', async () => {
  const path = join(folder(), 'app.db');
  execute(path, (db) => db.exec('CREATE TABLE t (a INTEGER PRIMARY KEY)'));
  const vault = await open(newStore());
  const files = await openFileSource({scheme: 'sqlite', path});
  const {instance} = await takeBackup(vault, files);
  const tables = await openSource({scheme: 'sqlite', path});
  const snapshot = await tables.snapshot({tables: ['t'], track: {owner: 'c'}});
  await snapshot.close();
  await tables.untrack('c');
  expect((await takeBackup(vault, files)).instance).toBe(instance);
  expect(await tables.tracking()).toEqual([]);
  expect((await tables.inspect()).filter(({ok}) => !ok)).toEqual([]);
});
