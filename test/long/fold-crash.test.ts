import {cpSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import type {FoldLimits} from '../../src/collections/index.ts';
import {type Fault, type FaultyStore, faultyStore} from '../helpers/faulty-store.ts';
import {collectDatabase, inProcess} from '../helpers/in-process.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';

/** Every increment merges all deltas before it. */
const fold: FoldLimits = {deltas: 0, growth: 1e9, basePart: 1, leastKeys: 1000};

for (const fault of ['end before', 'end after', 'fail'] as const satisfies readonly Fault[]) {
  test(`an increment that merges deltas does no harm if it meets "${fault}" at any store call`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bkp-fold-'));
    onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
    const [database, cluster] = [join(folder, 'app.db'), join(folder, 'cluster')];
    const exec = (sql: string) => {
      const db = new DatabaseSync(database);
      db.exec(sql);
      db.close();
    };
    exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (k TEXT PRIMARY KEY, v);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT i, i FROM n;
      INSERT INTO u SELECT 'key ' || id, v FROM t`);
    const bench = inProcess({database, cluster});
    await collectDatabase(bench);
    const images = new Map([[await bench.backup('c', 'full'), imageOf(database)]]);
    for (let n = 0; n < 2; n++) {
      exec(`UPDATE t SET v = v + 1 WHERE id % 50 = ${n}; DELETE FROM u WHERE k = 'key ${n}'`);
      images.set(await bench.backup('c', 'incremental', {fold}), imageOf(database));
    }
    exec(`UPDATE t SET v = 0 WHERE id % 50 = 1; DELETE FROM t WHERE id = 7; INSERT INTO u VALUES ('key 1', 'again')`);
    const kept = join(folder, 'kept');
    for (const name of ['app.db', 'cluster']) cpSync(join(folder, name), join(kept, name), {recursive: true});

    for (let at = 1, last = Number.POSITIVE_INFINITY; at <= last; at++) {
      for (const name of ['app.db', 'cluster']) {
        rmSync(join(folder, name), {recursive: true, force: true});
        cpSync(join(kept, name), join(folder, name), {recursive: true});
      }
      let store: FaultyStore | undefined;
      const crashing = inProcess({
        database,
        cluster,
        store: (inner) => {
          store = faultyStore(inner, {at, fault});
          return store;
        },
      });
      await crashing.backup('c', 'incremental', {fold}).catch(() => {});
      // The increment made fewer calls: none met the fault.
      if (store!.calls.length < at) last = 0;
      await bench.verify('c');
      const restored = async () => {
        const target = join(folder, 'restored.db');
        rmSync(target, {force: true});
        await bench.restore('c', target);
        return imageOf(target);
      };
      const newest = (await bench.backups('c')).at(-1)!;
      expect(await restored(), `after call ${at}`).toEqual(images.get(newest) ?? imageOf(database));
      await bench.backup('c', 'incremental', {fold});
      expect(await restored(), `after call ${at}, and another increment`).toEqual(imageOf(database));
    }
  });
}
