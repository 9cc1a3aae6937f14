import {execFileSync, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import fs, {copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {syncBuiltinESMExports} from 'node:module';
import {join} from 'node:path';
import {describe, expect, onTestFinished, test} from 'vitest';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {expectSame, imageOf} from '../helpers/sqlite-compare.ts';
import {fillStaging, restore, takeFull} from '../sources/layers.ts';
import {Database, expectComesBack, filesIn, folder, full} from '../sources/sqlite/database.ts';

const schema = `CREATE TABLE t (k INTEGER PRIMARY KEY, a, b UNIQUE); CREATE INDEX i ON t (a);
  CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END;
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO t
    SELECT i, hex(randomblob(200)), i FROM n`;
const otherSchema = 'CREATE TABLE other (k INTEGER PRIMARY KEY, a); INSERT INTO other VALUES (1, 1)';
const backupOf = (database: Database) => takeFull(database.source, {tables: ['t']});
const children = join(import.meta.dirname, '../sources/sqlite/children');

describe('a conflict is reported, and the conflicting object stays', () => {
  test('a table, an index, a trigger or a view of the name, before anything is written', async () => {
    const backup = await backupOf(new Database(schema));
    for (const [sql, name] of [
      ['CREATE TABLE T (x)', '/Root/T'],
      ['CREATE TABLE o (x); CREATE INDEX I ON o (x)', 'index I'],
      ['CREATE TABLE o (x); CREATE TRIGGER tr AFTER INSERT ON o BEGIN SELECT 1; END', 'trigger tr'],
      ['CREATE VIEW t AS SELECT 1', 'view t'],
    ]) {
      const target = new Database(sql);
      await expect(restore(target.source, backup)).rejects.toMatchObject({
        code: 'TABLE_EXISTS',
        message: expect.stringContaining(name!),
      });
      expect(filesIn(join(target.path, '..'))).toEqual(['app.db']);
    }
  });

  test('a table that appears meanwhile', async () => {
    const backup = await backupOf(new Database(schema));
    const target = new Database(otherSchema);
    const staging = await fillStaging(target.source, backup);
    target.exec('CREATE TABLE t (mine); INSERT INTO t VALUES (7)');
    await expect(staging.publish({})).rejects.toMatchObject({code: 'TABLE_EXISTS'});
    await staging.discard();
    expect(target.value('SELECT mine FROM t')).toBe(7);
    expect(filesIn(join(target.path, '..'))).toEqual(['app.db']);
  });

  test('a file that appears meanwhile', async () => {
    const backup = await backupOf(new Database(schema));
    for (const links of [true, false]) {
      if (!links) withoutLinks();
      const path = join(folder(), 'new.db');
      const staging = await fillStaging(new SqliteSource(path), backup);
      const mine = 'not a database, and not to be lost';
      const {openSync} = fs;
      // At the last moment, after bkp's check.
      fs.openSync = (name, ...rest) => {
        if (!existsSync(path) && String(name).includes('bkp-stage')) writeFileSync(path, mine);
        return openSync(name, ...rest);
      };
      syncBuiltinESMExports();
      try {
        await expect(staging.publish({})).rejects.toMatchObject({code: 'TABLE_EXISTS'});
      } finally {
        fs.openSync = openSync;
        syncBuiltinESMExports();
        await staging.discard();
      }
      expect(readFileSync(path, 'utf8')).toBe(mine);
      expect(filesIn(join(path, '..'))).toEqual(['new.db']);
    }
  });

  test('a journal or a WAL without its database', async () => {
    const backup = await backupOf(new Database(schema));
    for (const end of ['-wal', '-journal']) {
      const path = join(folder(), 'new.db');
      const restoring = async () => {
        const staging = await fillStaging(new SqliteSource(path), backup);
        writeFileSync(path + end, 'pages of a database that is gone');
        await staging.publish({}).finally(() => staging.discard());
      };
      const refusal = {
        code: 'PRECONDITION',
        message: expect.stringContaining(path + end),
        next: expect.stringMatching(/^move/),
      };
      await expect(restoring()).rejects.toMatchObject(refusal);
      await expect(restore(new SqliteSource(path), backup)).rejects.toMatchObject(refusal);
      expect(filesIn(join(path, '..'))).toEqual([`new.db${end}`]);
    }
  });

  test('another text encoding, before anything is written', async () => {
    const backup = await backupOf(new Database(`PRAGMA encoding = 'UTF-16le'; ${schema}`));
    const target = new Database(otherSchema);
    await expect(target.source.stage(backup.schemas, {id: 'x', database: backup.database})).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('UTF-16le'),
    });
    expect(filesIn(join(target.path, '..'))).toEqual(['app.db']);
  });

  test('a missing folder', async () => {
    const path = join(folder(), 'none', 'new.db');
    await expect(restore(new SqliteSource(path), await backupOf(new Database(schema)))).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      next: expect.stringContaining('mkdir'),
    });
  });
});

test('a staging is discarded without a trace, even when its process has ended', async () => {
  const database = new Database(schema);
  const backup = await backupOf(database);
  const path = join(folder(), 'new.db');
  const source = new SqliteSource(path);
  await (await fillStaging(source, backup)).discard();
  expect(filesIn(join(path, '..'))).toEqual([]);
  writeFileSync(`${path}.bkp-stage-test`, 'half a file');
  await restore(source, backup);
  expectSame(path, database.path);
  writeFileSync(`${path}.bkp-stage-old`, '');
  writeFileSync(`${path}.bkp-stage-old-journal`, '');
  await source.discardStaging('old');
  await source.discardStaging('never');
  expect(filesIn(join(path, '..'))).toEqual(['new.db']);
});

/** A file system without links, simulated in Node's fs. */
function withoutLinks(): void {
  const {linkSync} = fs;
  const restoreLinks = () => {
    fs.linkSync = linkSync;
    syncBuiltinESMExports();
  };
  onTestFinished(restoreLinks);
  fs.linkSync = () => {
    throw Object.assign(new Error('EPERM: operation not permitted, link'), {code: 'EPERM'});
  };
  syncBuiltinESMExports();
}

test('a database can be published on a file system without links', async () => {
  const database = new Database(schema);
  const backup = await backupOf(database);
  withoutLinks();
  const path = join(folder(), 'new.db');
  await restore(new SqliteSource(path), backup);
  expectSame(path, database.path);
  expect(filesIn(join(path, '..'))).toEqual(['new.db']);
});

describe('beside others in the same database', () => {
  async function holder(path: string, how: 'read' | 'read-on' | 'write') {
    const child = spawn(process.execPath, [join(children, 'holder.ts'), path, how], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    while (!output.includes('ready')) await once(child.stdout, 'data');
    return {child, ended: once(child, 'close').then(() => output)};
  }

  for (const journal of ['WAL', 'DELETE']) {
    test(`a reader keeps its view until it ends, ${journal}`, async () => {
      const target = new Database(`PRAGMA journal_mode = ${journal}; ${otherSchema}`);
      const database = new Database(schema);
      // In WAL mode a restore does not wait for readers: this one stays until its input ends.
      const reader = await holder(target.path, journal === 'WAL' ? 'read-on' : 'read');
      await restore(target.source, await backupOf(database));
      reader.child.stdin.end();
      expect(await reader.ended).toBe('ready 1\nstill 1\n');
      expectSame(target.path, database.path, ['t']);
    });

    test(`a busy writer continues, ${journal}`, async () => {
      const target = new Database(`PRAGMA journal_mode = ${journal}; PRAGMA synchronous = OFF; ${otherSchema}`);
      const database = new Database(schema);
      const writer = await holder(target.path, 'write');
      const rows = () => Number(target.value('SELECT count(*) FROM busy'));
      const before = rows();
      await restore(target.source, await backupOf(database));
      const after = rows();
      while (rows() === after) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(after).toBeGreaterThan(before);
      writer.child.kill('SIGKILL');
      await writer.ended;
      expectSame(target.path, database.path, ['t']);
    });
  }

  test('a backup reads while a writer writes, in WAL mode', async () => {
    const database = new Database(`PRAGMA journal_mode = WAL; ${schema}`);
    const writer = await holder(database.path, 'write');
    const base = await full(database, ['t', 'busy']);
    writer.child.kill('SIGKILL');
    await writer.ended;
    const path = join(folder(), 'new.db');
    await restore(new SqliteSource(path), base);
    expect(imageOf(path).integrity).toEqual(['ok']);
    expectSame(path, database.path, ['t']);
  });
});

describe('a process that is killed', () => {
  function crash(what: string, where: string, source: string, target = ''): void {
    const {signal, stderr} = spawnSync(process.execPath, [join(children, 'crash.ts'), what, where, source, target], {
      encoding: 'utf8',
    });
    expect(signal, stderr).toBe('SIGKILL');
  }

  for (const journal of ['WAL', 'DELETE']) {
    test(`while it publishes into a database leaves that unchanged, ${journal}`, async () => {
      const target = new Database(`PRAGMA journal_mode = ${journal}; ${otherSchema}`);
      const database = new Database(schema);
      for (const where of ['load', 'commit']) {
        crash('restore', where, database.path, target.path);
        expect(existsSync(`${target.path}.bkp-stage-crashed`)).toBe(true);
        expect(imageOf(target.path)).toMatchObject({
          tables: {other: [expect.anything()]},
          integrity: ['ok'],
          schema: [expect.anything()],
        });
        await target.source.discardStaging('crashed');
        expect(filesIn(join(target.path, '..')).filter((name) => !/^app\.db(-wal|-shm)?$/.test(name))).toEqual([]);
      }
      await restore(target.source, await backupOf(database));
      expectSame(target.path, database.path, ['t']);
    });
  }

  test('before or after a new file gets its name leaves no file or a complete one', async () => {
    const database = new Database(schema);
    const path = join(folder(), 'new.db');
    crash('restore', 'link', database.path, path);
    expect(existsSync(path)).toBe(false);
    await new SqliteSource(path).discardStaging('crashed');
    expect(filesIn(join(path, '..'))).toEqual([]);
    crash('restore', 'linked', database.path, path);
    await new SqliteSource(path).discardStaging('crashed');
    expect(filesIn(join(path, '..'))).toEqual(['new.db']);
    expectSame(path, database.path);
  });

  test('while it begins a backup tracks all tables or none', async () => {
    const database = new Database(schema);
    crash('backup', 'commit', database.path);
    expect(database.value(`SELECT count(*) FROM sqlite_schema WHERE name GLOB '_bkp_*'`)).toBe(0);
    crash('backup', 'end', database.path);
    expect(await database.source.tracking()).toMatchObject([{owner: 'collection-1', tables: ['t']}]);
    const base = await full(database, ['t']);
    await database.source.acknowledge('collection-1', base.mark!);
    await database.source.untrack('collection-1');
    expect(database.value(`SELECT count(*) FROM sqlite_schema WHERE name GLOB '_bkp_*'`)).toBe(0);
    await expectComesBack(database, base);
  });
});

describe.skipIf(process.getuid?.() !== 0)('a disk that is full', () => {
  /** This test's own file system of a few MiB. */
  function smallDisk(sizeKib: number): string {
    const path = join(folder(), 'disk');
    mkdirSync(path);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKib}k`, 'tmpfs', path]);
    onTestFinished(() => void execFileSync('umount', ['-l', path]));
    return path;
  }

  test('while rows are loaded', async () => {
    const backup = await backupOf(new Database(schema));
    const disk = smallDisk(1024);
    await expect(restore(new SqliteSource(join(disk, 'new.db')), backup)).rejects.toMatchObject({
      code: 'SOURCE_FULL',
      next: expect.stringContaining('free'),
    });
    expect(filesIn(disk)).toEqual([]);
  });

  for (const journal of ['WAL', 'DELETE']) {
    test(`while tables are published, ${journal}`, async () => {
      const database = new Database(schema);
      const disk = smallDisk(4096);
      const path = join(disk, 'app.db');
      const target = new Database(`PRAGMA journal_mode = ${journal}; ${otherSchema}`, {path});
      const before = imageOf(path);
      const staging = await fillStaging(target.source, await backupOf(database));
      writeFileSync(join(disk, 'ballast'), '');
      const free = fs.statfsSync(disk).bavail * 4096;
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(free - 200 * 1024));
      await expect(staging.publish({})).rejects.toMatchObject({code: 'SOURCE_FULL'});
      await staging.discard();
      expect(imageOf(path)).toEqual(before);
      target.close();
      expect(filesIn(disk)).toEqual(['app.db', 'ballast']);
      fs.rmSync(join(disk, 'ballast'));
      await restore(target.source, await backupOf(new Database('CREATE TABLE t (k INTEGER PRIMARY KEY)')));
    });
  }

  test('while tracking begins', async () => {
    const disk = smallDisk(4096);
    const small = new Database(schema);
    const path = join(disk, 'app.db');
    small.close();
    copyFileSync(small.path, path);
    const free = fs.statfsSync(disk).bavail * 4096;
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(free));
    const source = new SqliteSource(path);
    await expect(takeFull(source, {tables: ['t'], track: {owner: 'one'}})).rejects.toMatchObject({code: 'SOURCE_FULL'});
    expect(await source.tracking()).toEqual([]);
    expect((await takeFull(source, {tables: ['t']})).layers.t).toHaveLength(1);
  });
});
