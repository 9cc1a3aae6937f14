import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection, planBackup, restoreBackup, takeBackup} from '../../../src/collections/index.ts';
import {readBackup} from '../../../src/collections/stored/manifest.ts';
import type {BackupName, BackupType} from '../../../src/collections/stored/names.ts';
import {openSource, type Snapshot, type Staging, type TableSource} from '../../../src/sources/index.ts';
import {inProcess} from '../../helpers/in-process.ts';

// A backup records what its tables contain. Whatever a fault of the code makes of an increment or of a restore, it
// must not look like a success.

const tools = {nowMicros: () => Date.now() * 1000, signal: new AbortController().signal, progress() {}, notice() {}};

const schema = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, a, r REAL);
  INSERT INTO t VALUES (1, 'one', 1), (2, x'02', 2.5), (3, NULL, -0.0), (4, 4, 1e300);
  CREATE TABLE still (k TEXT PRIMARY KEY) WITHOUT ROWID;
  INSERT INTO still VALUES ('a'), ('b');`;

type Faults = {
  snapshot?: ((real: Snapshot) => Partial<Snapshot>) | undefined;
  staging?: ((real: Staging) => Partial<Staging>) | undefined;
};

/** The same object, except for some methods. */
function changed<T extends object>(object: T, methods: Partial<T>): T {
  return new Proxy(object, {
    get: (target, key) => {
      const value: unknown = Reflect.get(methods, key) ?? Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function withFaults(source: TableSource, {snapshot, staging}: Faults): TableSource {
  return changed(source, {
    snapshot: async (options) => {
      const real = await source.snapshot(options);
      return changed(real, snapshot?.(real) ?? {});
    },
    stage: async (schemas, options) => {
      const real = await source.stage(schemas, options);
      return changed(real, staging?.(real) ?? {});
    },
  });
}

async function opened() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-content-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    db.exec(sql);
    db.close();
  };
  exec(schema);
  const {vault} = inProcess({database, cluster: join(folder, 'cluster')});
  await vault((at) =>
    createCollection(
      {vault: at, nowMicros: tools.nowMicros, randomId: () => 'c'.repeat(32)},
      {
        name: 'c',
        members: {kind: 'tables', tables: ['t', 'still']},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
        ifNotExists: false,
      },
    ),
  );
  const backUp = (type: BackupType, faults: Faults = {}) =>
    vault(async (at) => {
      const source = withFaults(await openSource({scheme: 'sqlite', path: database}), faults);
      const name = await planBackup(at, source, {collection: 'c', type, nowMicros: tools.nowMicros()});
      return (await takeBackup({...tools, vault: at, source}, {collection: 'c', type, name, operation: 'x'})).backup;
    });
  let restores = 0;
  const restoreTo = (backup: BackupName, faults: Faults = {}) =>
    vault(async (at) => {
      const path = join(folder, `restored${restores++}.db`);
      const source = withFaults(await openSource({scheme: 'sqlite', path}), faults);
      return restoreBackup({...tools, vault: at, source}, {collection: 'c', backup, stagingId: 's', check: 'quick'});
    });
  const recorded = (backup: BackupName) =>
    vault(async (at) => (await readBackup(at, 'c', backup)).body.tables.map(({content}) => content));
  return {exec, backUp, restoreTo, recorded};
}

test('each backup records rows and a hash of each table, and equal rows have equal hashes', async () => {
  const {exec, backUp, restoreTo, recorded} = await opened();
  const full = await recorded(await backUp('full'));
  expect(full).toEqual([
    {rows: 4, hash: expect.stringMatching(/^[0-9a-f]{32}$/)},
    {rows: 2, hash: expect.any(String)},
  ]);
  expect(await recorded(await backUp('incremental'))).toEqual(full);
  exec('UPDATE t SET r = 7 WHERE id = 1; INSERT INTO t VALUES (5, 5, 5)');
  const changedOnce = await recorded(await backUp('incremental'));
  expect(changedOnce[0]?.rows).toBe(5);
  expect(changedOnce[0]?.hash).not.toBe(full[0]?.hash);
  expect(changedOnce[1]).toEqual(full[1]);
  exec('DELETE FROM t WHERE id = 5; UPDATE t SET r = 1 WHERE id = 1');
  const back = await backUp('incremental');
  expect(await recorded(back)).toEqual(full);
  expect((await restoreTo(back)).published.map(({content}) => content)).toEqual(full);
  expect(await recorded(await backUp('full'))).toEqual(full);
});

const damaged = {code: 'OBJECT_DAMAGED', message: expect.stringMatching(/^table (t|still) was restored with /)};

test.each<[string, Faults['staging']]>([
  ['misses deleted rows', () => ({removeKeys: async () => 4})],
  ['loads no changed row', () => ({load: async () => 1})],
  [
    'loads another value',
    (real) => ({
      load: (table, segment) => real.load(table, Buffer.from(segment.map((byte) => (byte === 0x7a ? 0x79 : byte)))),
    }),
  ],
])('a restore that %s of an increment fails', async (_, staging) => {
  const {exec, backUp, restoreTo} = await opened();
  await backUp('full');
  exec("DELETE FROM t WHERE id IN (1, 3); UPDATE t SET id = 9, a = 'zzzz' WHERE id = 2");
  const increment = await backUp('incremental');
  await restoreTo(increment);
  await expect(restoreTo(increment, {staging})).rejects.toMatchObject({
    ...damaged,
    cause: expect.stringContaining('past the change tracking'),
  });
});

test.each([
  ['changes', 'DELETE FROM t WHERE id = 1'],
  ['a changed value', "UPDATE t SET a = 'other' WHERE id = 1"],
])('an increment that misses %s of a table that it takes for unchanged is refused', async (_, change) => {
  const {exec, backUp} = await opened();
  await backUp('full');
  exec(change);
  const none = async function* () {};
  const blind: Faults = {
    snapshot: () => ({
      changes: async () => ({
        logged: 0,
        read: () => ({keys: none(), rows: none(), changed: () => ({keys: 0, rows: 0})}),
      }),
    }),
  };
  await expect(backUp('incremental', blind)).rejects.toMatchObject({
    code: 'CHAIN_BROKEN',
    message: 'table t contains changes that its change log does not have',
  });
});

test('an increment that does not read a table with changes records no content of it', async () => {
  const {exec, backUp, recorded, restoreTo} = await opened();
  await backUp('full');
  exec("UPDATE t SET a = 'other' WHERE id = 1");
  const increment = await backUp('incremental', {snapshot: () => ({content: async () => undefined})});
  expect(await recorded(increment)).toEqual([undefined, {rows: 2, hash: expect.any(String)}]);
  await restoreTo(increment);
});

test('an increment that misses rows is refused when there are more than its log explains', async () => {
  const {exec, backUp} = await opened();
  await backUp('full');
  exec('INSERT INTO t (id) VALUES (10), (11), (12)');
  const half: Faults = {
    snapshot: (real) => ({
      changes: async (table, since) => {
        const changes = await real.changes(table, since);
        if (changes === 'rebase') return changes;
        const read: typeof changes.read = (earlier) => {
          const delta = changes.read(earlier);
          const rows = (async function* () {
            for await (const segment of delta.rows) yield {...segment, rows: 1};
          })();
          return {...delta, rows};
        };
        return {...changes, read};
      },
    }),
  };
  await expect(backUp('incremental', half)).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
});

test('a restore of a backup without fingerprints fails if it has not all rows', async () => {
  const {backUp, restoreTo, recorded} = await opened();
  const full = await backUp('full', {snapshot: () => ({content: async () => undefined})});
  expect(await recorded(full)).toEqual([undefined, undefined]);
  await restoreTo(full);
  const staging: Faults['staging'] = (real) => ({
    finish: async (options) => (await real.finish(options)).map((table) => ({...table, rows: table.rows - 1})),
  });
  await expect(restoreTo(full, {staging})).rejects.toMatchObject(damaged);
});

test('an increment is taken although another table has a damaged page, and does not record its content', async () => {
  const {exec, backUp, recorded, restoreTo} = await opened();
  const {BkpError} = await import('../../../src/errors/index.ts');
  await backUp('full');
  exec("INSERT INTO still VALUES ('c')");
  const broken: Faults = {
    snapshot: (real) => ({
      content: async (table, options) => {
        if (table === 'still') throw new BkpError('SOURCE_DAMAGED', 'page 7 is damaged');
        return real.content(table, options);
      },
    }),
  };
  const increment = await backUp('incremental', broken);
  expect(await recorded(increment)).toEqual([expect.objectContaining({rows: 4}), undefined]);
  await restoreTo(increment);
  await expect(backUp('full', broken)).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
});
