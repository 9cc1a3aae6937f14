import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {copyFileSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection} from '../../src/collections/index.ts';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {inProcess} from '../helpers/in-process.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';

// A restore with MODE whose process is killed: the tables are as before or as after, never between.

const child = join(import.meta.dirname, 'children', 'killed-collection-restore.ts');
const schema = `
  CREATE TABLE big (id INTEGER PRIMARY KEY, txt TEXT UNIQUE, more BLOB, size AS (length(more)) STORED);
  CREATE INDEX big_more ON big (more);
  CREATE TABLE small (id TEXT PRIMARY KEY, big REFERENCES big) WITHOUT ROWID;
  CREATE TRIGGER copy AFTER INSERT ON small BEGIN UPDATE big SET txt = NEW.id WHERE id = NEW.big; END;
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO big SELECT i, 'order ' || (i * 7919 % 40000), randomblob(120) FROM n;
  INSERT INTO small SELECT 'n' || id, id FROM big LIMIT 5000;`;
const changes = `UPDATE big SET more = randomblob(120) WHERE id % 2 = 0; DELETE FROM big WHERE id % 5 = 0 AND id > 5000;
  INSERT INTO small (id, big) SELECT 'new ' || id, id FROM big WHERE id > 10000 AND id < 15000;
  UPDATE small SET big = 1 WHERE big < 900;`;

async function place(journal: string) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-killed-mode-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const path = (name: string) => join(folder, name);
  const exec = (sql: string, name = 'app.db') => {
    const db = new DatabaseSync(path(name), {enableForeignKeyConstraints: false});
    db.exec(sql);
    db.close();
  };
  exec(`PRAGMA journal_mode = ${journal}; PRAGMA synchronous = OFF; ${schema}`);
  const bench = inProcess({database: path('app.db'), cluster: path('cluster')});
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        ...{name: 'c', members: {kind: 'database'}, ifNotExists: false},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
      },
    ),
  );
  await bench.backup('c', 'full');
  /** @param afterMs of the phase Merge; absent: it is not killed */
  const run = async (name: string, args: readonly string[], afterMs?: number): Promise<'killed' | 'done'> => {
    const process_ = spawn(process.execPath, [child, path('cluster'), path(name), 'never', 'big,small', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    process_.stdout.once('data', () => {
      if (afterMs !== undefined) setTimeout(() => process_.kill('SIGKILL'), afterMs);
    });
    const [status] = (await once(process_, 'exit')) as [number | null];
    return status === null ? 'killed' : 'done';
  };
  return {folder, path, exec, run};
}

const contents = (path: string) => {
  const {schema: statements, tables, integrity} = imageOf(path, ['big', 'small']);
  return {statements, tables, integrity};
};

for (const [journal, mode, alter] of [
  ['DELETE', 'merge', ''],
  ['WAL', 'replace', ''],
  ['DELETE', 'replace', "ALTER TABLE big ADD COLUMN note TEXT DEFAULT 'x'; ALTER TABLE small ADD COLUMN note;"],
  ['WAL', 'replace', 'ALTER TABLE big ADD COLUMN note TEXT; CREATE INDEX by_note ON big (note);'],
] as const) {
  test(`MODE='${mode}' killed at any moment changes all or nothing (${journal}${alter && ', altered'})`, async () => {
    const {folder, path, exec, run} = await place(journal);
    exec(alter + changes);
    exec('PRAGMA wal_checkpoint(TRUNCATE)');
    const before = contents(path('app.db'));
    copyFileSync(path('app.db'), path('after.db'));
    expect(await run('after.db', [mode])).toBe('done');
    const after = contents(path('after.db'));
    expect(after).not.toEqual(before);
    const ends = new Set<string>();
    for (const afterMs of [0, 20, 60, 120, 200, 300, 450, 700]) {
      const name = `at-${afterMs}.db`;
      copyFileSync(path('app.db'), path(name));
      ends.add(await run(name, [mode], afterMs));
      const now = contents(path(name));
      expect([before, after]).toContainEqual(now);
      // The same statement again ends what was begun.
      expect(await run(name, [mode])).toBe('done');
      expect(contents(path(name))).toEqual(after);
      const source = new SqliteSource(path(name));
      for (const staged of readdirSync(folder).filter((file) => /\.bkp-stage-[0-9a-f]{8}$/.test(file))) {
        await source.discardStaging(staged.slice(-8));
      }
      expect(readdirSync(folder).filter((file) => file.startsWith(`${name}.bkp-stage`))).toEqual([]);
    }
    expect(ends).toContain('killed');
  }, 300_000);
}

test('a dry run of MODE that is killed leaves the database as it was, and what it left is removed', async () => {
  const {folder, path, exec, run} = await place('WAL');
  exec(changes);
  const before = contents(path('app.db'));
  let left = 0;
  for (const afterMs of [0, 100, 250, 500]) {
    await run('app.db', ['replace', 'dry'], afterMs);
    expect(contents(path('app.db'))).toEqual(before);
    const staged = readdirSync(folder).filter((file) => file.startsWith('app.db.bkp-stage-'));
    left += staged.length;
    const ids = new Set(staged.map((file) => /stage-([0-9a-f]{8})/.exec(file)![1]!));
    for (const id of ids) await new SqliteSource(path('app.db')).discardStaging(id);
    expect(readdirSync(folder).filter((file) => file.startsWith('app.db.bkp-stage-'))).toEqual([]);
  }
  expect(left).toBeGreaterThan(0);
}, 300_000);
