import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection} from '../../src/collections/index.ts';
import {inProcess} from '../helpers/in-process.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';

// A chain continues after a restore only if the newest backup was restored into its own database.

async function chainOfThree() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-resume-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const bench = inProcess({database, cluster: join(folder, 'cluster')});
  const use = <T>(act: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(database);
    try {
      return act(db);
    } finally {
      db.close();
    }
  };
  const exec = (sql: string) => use((db) => db.exec(sql));
  exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES (1), (2), (3)');
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        name: 'c',
        members: {kind: 'tables', tables: ['t']},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
        ifNotExists: false,
      },
    ),
  );
  const full = await bench.backup('c', 'full');
  exec('UPDATE t SET v = 20 WHERE id = 2');
  const older = await bench.backup('c', 'incremental');
  exec('DELETE FROM t WHERE id = 1');
  const newest = await bench.backup('c', 'incremental');
  /** The triggers that track changes: without them, the application's writes cost nothing extra. */
  const triggers = () => use((db) => db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'trigger'`).all().length);
  const last = async () => {
    const copy = join(folder, 'copy.db');
    rmSync(copy, {force: true});
    await bench.restore('c', copy);
    return imageOf(copy, ['t']);
  };
  return {bench, database, exec, full, older, newest, triggers, last};
}

for (const place of ['its own database', 'a new file in its place']) {
  const away = (chain: Awaited<ReturnType<typeof chainOfThree>>) => {
    if (place === 'its own database') chain.exec('DROP TABLE t');
    else rmSync(chain.database);
  };

  test(`an older backup that is restored into ${place} is not tracked, and its changes are no increment`, async () => {
    const chain = await chainOfThree();
    for (const point of [chain.full, chain.older]) {
      away(chain);
      await chain.bench.restore('c', chain.database, point);
      expect(chain.triggers()).toBe(0);
      chain.exec('INSERT INTO t (v) VALUES (4)');
      if (place === 'its own database') {
        // The database is the one of the newest backup: only the table begins again.
        await chain.bench.backup('c', 'incremental');
        expect(await chain.last()).toEqual(imageOf(chain.database, ['t']));
      } else {
        await expect(chain.bench.backup('c', 'incremental')).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
      }
    }
    await chain.bench.backup('c', 'full');
    chain.exec('UPDATE t SET v = 9 WHERE id = 1');
    await chain.bench.backup('c', 'incremental');
    expect(await chain.last()).toEqual(imageOf(chain.database, ['t']));
  });

  test(`the newest backup that is restored into ${place} is tracked, and the chain continues`, async () => {
    const chain = await chainOfThree();
    away(chain);
    await chain.bench.restore('c', chain.database, chain.newest);
    expect(chain.triggers()).toBeGreaterThan(0);
    chain.exec('INSERT INTO t (v) VALUES (4); UPDATE t SET v = 9 WHERE id = 2');
    await chain.bench.backup('c', 'incremental');
    expect(await chain.last()).toEqual(imageOf(chain.database, ['t']));
  });
}
