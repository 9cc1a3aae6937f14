import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {createCollection, planBackup, takeBackup} from '../../src/collections/index.ts';
import {openSource} from '../../src/sources/index.ts';
import {openDirectoryStore, type Store, wrapStore} from '../../src/stores/index.ts';
import {openVault, type Vault} from '../../src/vault/index.ts';

/** Counts the calls and what they touch: objects that a listing shows, and bytes. */
function counting(inner: Store) {
  const spent = {calls: 0, listed: 0, bytes: 0};
  const store = wrapStore(inner, {
    put: (key, body, options) => {
      spent.calls += 1;
      spent.bytes += body.length;
      return inner.put(key, body, options);
    },
    get: async (key, range) => {
      const body = await inner.get(key, range);
      spent.calls += 1;
      spent.bytes += body.length;
      return body;
    },
    stat: (key) => {
      spent.calls += 1;
      return inner.stat(key);
    },
    delete: (keys) => {
      spent.calls += 1;
      return inner.delete(keys);
    },
    async *list(prefix, options) {
      spent.calls += 1;
      for await (const facts of inner.list(prefix, options)) {
        spent.listed += 1;
        yield facts;
      }
    },
  });
  const take = () => {
    const taken = {...spent};
    Object.assign(spent, {calls: 0, listed: 0, bytes: 0});
    return taken;
  };
  return {store, take};
}

const increments = Number(process.env.BKP_TEST_INCREMENTS ?? 320);

test('an increment costs the same after hundreds of others, without any rule that removes backups', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-chain-'));
  const database = join(folder, 'app.db');
  const db = new DatabaseSync(database);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO t SELECT i, 'row ' || i FROM n`);
  const {store, take} = counting(await openDirectoryStore({root: join(folder, 'store'), create: true}));
  let backups = 0;
  const tools = {
    nowMicros: () => 1_795_000_000_000_000 + backups * 60_000_000,
    signal: new AbortController().signal,
    progress: () => {},
    notice: (text: string) => expect(text).toContain('all rows of t are taken'),
  };
  const withVault = async <T>(use: (vault: Vault) => Promise<T>): Promise<T> => {
    const vault = await openVault({store, create: true, cacheFile: join(folder, 'cache.db')});
    try {
      return await use(vault);
    } finally {
      vault.close();
    }
  };
  const backUp = (type: 'full' | 'incremental') =>
    withVault(async (vault) => {
      backups += 1;
      const source = await openSource({scheme: 'sqlite', path: database});
      const name = await planBackup(vault, source, {collection: 'c', type, nowMicros: tools.nowMicros()});
      return takeBackup({...tools, vault, source}, {collection: 'c', type, name, operation: 'a test'});
    });
  try {
    await withVault((vault) =>
      createCollection(
        {vault, nowMicros: tools.nowMicros, randomId: () => 'c'.repeat(32)},
        {
          name: 'c',
          members: {kind: 'tables', tables: ['t']},
          settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
          ifNotExists: false,
        },
      ),
    );
    await backUp('full');
    const costs: ReturnType<typeof take>[] = [];
    for (let n = 1; n <= increments; n++) {
      db.exec(`INSERT INTO t (text) VALUES ('new ${n}'); UPDATE t SET text = 'changed' WHERE id = ${n}`);
      take();
      await backUp('incremental');
      costs.push(take());
    }
    // Every 64th increment also merges small packs.
    const mean = (from: number, what: keyof (typeof costs)[number]) =>
      costs.slice(from, from + 128).reduce((sum, cost) => sum + cost[what], 0) / 128;
    const last = increments - 128;
    expect(mean(last, 'calls')).toBeLessThan(1.3 * mean(64, 'calls'));
    expect(mean(last, 'listed')).toBeLessThan(1.3 * mean(64, 'listed'));
    expect(mean(last, 'bytes')).toBeLessThan(1.5 * mean(64, 'bytes'));
    const kept = [];
    for await (const {key} of store.list('')) kept.push(key);
    const outside = kept.filter((key) => !key.endsWith('/manifest'));
    expect(kept.length - outside.length).toBe(increments + 1);
    expect(outside.length).toBeLessThan(200);
  } finally {
    db.close();
    rmSync(folder, {recursive: true, force: true});
  }
}, 600_000);
