import {describe, expect, test} from 'vitest';
import {
  findDatabaseBackup,
  findInstance,
  listDatabaseBackups,
  listInstances,
  planDatabaseBackup,
  planDatabaseRestore,
  planDatabaseRetention,
  presentDatabase,
  restoreDatabase,
  takeDatabaseBackup,
} from '../../../src/database/index.ts';
import {databaseManifestKey} from '../../../src/database/stored/names.ts';
import type {Store} from '../../../src/stores/index.ts';
import {parseManifest, sealManifest} from '../../../src/vault/format/manifest.ts';
import type {JsonValue, Vault} from '../../../src/vault/index.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';
import {keysOf, newStore, noise, open} from '../../vault/helpers.ts';
import {contentOf, FakeDatabase, FakeTarget, surroundings, takeBackup, toKeep} from '../fakes.ts';

function someDatabase(): FakeDatabase {
  const database = new FakeDatabase();
  database.set('conf/server.conf', 'http.user=x', {optional: true});
  database.set('db/tables.d.0', 'trades, prices');
  database.set('db/trades~1/day/price.d', noise(1000, 1), {table: 'trades', zeroTailBytes: 3000});
  database.set('db/trades~1/day/empty.d', '', {table: 'trades'});
  database.set('db/prices~2/day/price.d', noise(500, 2), {table: 'prices'});
  return database;
}

async function restored(vault: Vault, request: Parameters<typeof planDatabaseRestore>[1] = {}): Promise<FakeTarget> {
  const target = new FakeTarget();
  const plan = await planDatabaseRestore({vault, target}, request);
  await restoreDatabase({...surroundings(), vault, target}, plan);
  return target;
}

describe('a backup', () => {
  test('starts the threads that compress early when the backup before read much', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    database.blockBytes = 512 * 1024;
    database.set('db/trades~1/day/price.d', Buffer.alloc(16 * 1024 * 1024), {table: 'trades'});
    const freezesThen: number[] = [];
    const writer = vault.writer.bind(vault);
    vault.writer = async (...given) => {
      const opened = await writer(...given);
      opened.expectMuch = () => void freezesThen.push(database.freezes);
      return opened;
    };
    for (let backup = 0; backup < 3; backup++) await takeBackup(vault, database);
    // The first has no backup before it, and the second read nothing.
    expect(freezesThen).toEqual([1]);
  });

  test('is restored byte by byte, and its manifest describes it', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    const report = await takeBackup(vault, database);
    expect(report).toMatchObject({files: 5, filesRead: 5, logicalBytes: 1525, bytesRead: 1525});
    expect(report.instance).toMatch(/^[a-z]+-[a-z]+-[a-z]+$/);
    expect(report.backup).toMatch(/^\d{8}T\d{6}\.\d{6}Z$/);
    expect(database).toMatchObject({freezes: 1, confirms: 1, releases: 1});
    const [found] = await listDatabaseBackups(vault);
    expect(found).toMatchObject({
      instance: report.instance,
      backup: report.backup,
      body: {
        files: 5,
        bytes: 1525,
        zeroBytes: 3000,
        database: {
          product: 'questdb',
          tables: [
            {name: 'trades', rows: 1},
            {name: 'prices', rows: 1},
          ],
        },
      },
    });
    const target = await restored(vault);
    expect(target.published).toEqual(contentOf(database));
    expect(target.prepared?.version).toBe('9.3.4');
  });

  test('restores optional files only on request', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    await takeBackup(vault, database);
    expect((await restored(vault, {optional: true})).published).toEqual(contentOf(database, () => true));
  });

  test('restores single tables, with the files of no table', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    await takeBackup(vault, database);
    const target = await restored(vault, {tables: ['prices']});
    expect([...target.published!.keys()]).toEqual(['db/prices~2/day/price.d', 'db/tables.d.0']);
    expect(target.prepared?.tables.map(({name}) => name)).toEqual(['prices']);
    await expect(restored(vault, {tables: ['price']})).rejects.toMatchObject({
      code: 'TABLE_NOT_FOUND',
      next: 'did you mean prices?',
    });
  });

  test('of an unchanged database reads no file and stores only a manifest', async () => {
    const store = newStore();
    const [vault, database] = [await open(store), someDatabase()];
    await takeBackup(vault, database);
    const before = await keysOf(store);
    database.reads.length = 0;
    const second = await takeBackup(vault, database);
    expect(database.reads).toEqual([]);
    expect(second).toMatchObject({filesRead: 0, bytesRead: 0, storedBytes: 0});
    const added = (await keysOf(store)).filter((key) => !before.includes(key));
    expect(added).toEqual([`backup/${second.instance}/${second.backup}/manifest`]);
    expect((await restored(vault)).published).toEqual(contentOf(database));
  });

  test('reads files without a stamp again, and stores nothing for unchanged ones', async () => {
    const store = newStore();
    const [vault, database] = [await open(store), someDatabase()];
    database.set('db/tables.d.0', 'trades, prices', {stamped: false});
    await takeBackup(vault, database);
    database.reads.length = 0;
    expect(await takeBackup(vault, database)).toMatchObject({filesRead: 1, storedBytes: 0});
    expect(database.reads).toEqual(['db/tables.d.0']);
  });

  test('of five thousand files stores a small manifest, and little when one file changes or is added', async () => {
    const store = newStore();
    const [vault, database] = [await open(store), new FakeDatabase()];
    for (let n = 0; n < 5000; n++) database.set(`db/t~${n % 100}/${n}.d`, `column ${n}`, {table: `t${n % 100}`});
    const first = await takeBackup(vault, database);
    const key = (backup: string) => `backup/${first.instance}/${backup}/manifest`;
    expect((await store.stat(key(first.backup)))!.sizeBytes).toBeLessThan(10_000);
    database.set('db/t~7/7.d', 'column 7, changed');
    const second = await takeBackup(vault, database);
    expect(second.filesRead).toBe(1);
    expect(second.storedBytes).toBeLessThan(20_000);
    // One more chunk near the beginning shifts all others.
    database.set('db/t~0/00.d', 'a new column');
    expect((await takeBackup(vault, database)).storedBytes).toBeLessThan(20_000);
    expect((await restored(vault)).published).toEqual(contentOf(database));
  });

  test('has the planned name, or a later one if that is taken', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    const nowMicros = 1_724_502_896_789_123;
    const plan = await planDatabaseBackup(vault, database, {nowMicros});
    expect(plan).toEqual({name: '20240824T123456.789123Z'});
    const take = () =>
      takeDatabaseBackup(
        {...surroundings(), nowMicros: () => nowMicros, vault, source: database},
        {...plan, operation: '1'},
      );
    const first = await take();
    expect(first.backup).toBe(plan.name);
    expect((await take()).backup).toBe('20240824T123456.789124Z');
    expect(await planDatabaseBackup(vault, database, {nowMicros: 0})).toEqual({
      instance: first.instance,
      name: '20240824T123456.789125Z',
    });
  });

  test('with differences stores a changed block as little more than its change', async () => {
    const sizes = await Promise.all(
      [false, true].map(async (differences) => {
        const [vault, database] = [await open(newStore()), new FakeDatabase()];
        const blockBytes = 8192;
        database.blockBytes = blockBytes;
        const bytes = noise(blockBytes * 20, 3);
        database.set('file', bytes);
        await takeBackup(vault, database);
        for (let at = 0; at < bytes.length; at += blockBytes) bytes[at]! ^= 1;
        database.set('file', bytes);
        const {storedBytes} = await takeBackup(vault, database, {differences});
        expect((await restored(vault)).published).toEqual(contentOf(database));
        return storedBytes;
      }),
    );
    expect(sizes[1]).toBeLessThan(sizes[0]! / 20);
  });

  test('with differences stores a file rewritten under another name as little more than its changes', async () => {
    const [vault, database] = [await open(newStore()), new FakeDatabase()];
    database.blockBytes = 8192;
    database.lineageOf = (path) => path.replace(/\.\d+$/, '');
    const bytes = Buffer.from(noise(8192 * 20, 4));
    database.set('day.1', bytes);
    await takeBackup(vault, database);
    database.files.delete('day.1');
    const late = 100;
    database.set('day.2', Buffer.concat([bytes.subarray(0, 5000), noise(late, 5), bytes.subarray(5000)]));
    const {storedBytes} = await takeBackup(vault, database, {differences: true});
    expect((await restored(vault)).published).toEqual(contentOf(database));
    // Each block now ends with the beginning of the next one.
    expect(storedBytes).toBeLessThan((late + 200) * 20);
  });
});

describe('a failing backup', () => {
  test('commits nothing if the database was not held', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    database.voided = true;
    await expect(takeBackup(vault, database)).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    expect(await listDatabaseBackups(vault)).toEqual([]);
    expect(database.releases).toBe(1);
    expect((await findInstance(vault, await presentDatabase(database))).instance).toBeUndefined();
  });

  test('fails if a file is shorter than listed', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    const freeze = database.freeze.bind(database);
    database.freeze = async (options) => {
      const frozen = await freeze(options);
      return {
        ...frozen,
        read: (file) => frozen.read(file.table === 'prices' ? {...file, path: 'db/tables.d.0'} : file),
      };
    };
    await expect(takeBackup(vault, database)).rejects.toMatchObject({
      code: 'SOURCE_DAMAGED',
      message: expect.stringContaining('of table prices'),
    });
    expect(database.releases).toBe(1);
  });

  test('releases the database when it is cancelled, and the next one succeeds', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    const cancel = new AbortController();
    database.onRead = () => cancel.abort(new Error('cancelled'));
    const tools = {...surroundings(cancel.signal), vault, source: database};
    await expect(takeDatabaseBackup(tools, {operation: '1'})).rejects.toThrow('cancelled');
    expect(database.releases).toBe(1);
    database.onRead = () => {};
    await takeBackup(vault, database);
    expect((await restored(vault)).published).toEqual(contentOf(database));
  });

  test('fails for a path that would lead out of a target', async () => {
    for (const path of ['../x', '/etc/passwd', 'a//b', 'a/./b', 'a\\b', 'C:/x', '']) {
      const [vault, database] = [await open(newStore()), new FakeDatabase()];
      database.set(path, 'x');
      await expect(takeBackup(vault, database), path).rejects.toMatchObject({code: 'UNSUPPORTED'});
      expect(database.releases).toBe(1);
    }
  });
});

describe('instances', () => {
  test("two databases in one store have separate instances, and do not see each other's backups", async () => {
    const vault = await open(newStore());
    const [one, two] = [someDatabase(), new FakeDatabase('e'.repeat(32))];
    two.set('other', 'of the second');
    const first = await takeBackup(vault, one);
    const second = await takeBackup(vault, two);
    expect(second.instance).not.toBe(first.instance);
    expect((await takeBackup(vault, one)).instance).toBe(first.instance);
    expect((await restored(vault, {instance: second.instance})).published).toEqual(contentOf(two));
    await expect(findDatabaseBackup(vault, {})).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining(second.instance),
    });
    await expect(takeBackup(vault, two, {instance: first.instance})).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      message: expect.stringContaining('ER007'),
    });
    expect(two.freezes).toBe(1);
  });

  test('a copy of a database has its own instance, and displaces no backup of the original', async () => {
    const [vault, database, copy] = [await open(newStore()), someDatabase(), someDatabase()];
    copy.place = {host: 'laptop', path: '/home/me/db', file: '2'};
    const {instance, backup} = await takeBackup(vault, database);
    const notices: string[] = [];
    const tools = {...surroundings(), notice: (text: string) => notices.push(text), vault, source: copy};
    const others = await takeDatabaseBackup(tools, {operation: 'backup/1'});
    expect(others.instance).not.toBe(instance);
    expect(notices).toEqual([expect.stringContaining(`BACKUP DATABASE WITH (ADOPT='${instance}')`)]);
    for (let n = 0; n < 5; n++) expect((await takeBackup(vault, copy)).instance).toBe(others.instance);
    const plan = planDatabaseRetention(await listDatabaseBackups(vault, {instance}), {keepLatest: 1}, Date.now());
    expect(toKeep(plan).map((kept) => kept.backup)).toEqual([backup]);
    expect((await takeBackup(vault, database)).instance).toBe(instance);
  });

  test('a moved database continues its old instance once that is adopted', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    const {instance} = await takeBackup(vault, database);
    database.place = {host: 'db2', path: '/srv/db', file: '3'};
    const other = (await takeBackup(vault, database)).instance;
    expect((await takeBackup(vault, database, {adopt: instance})).instance).toBe(instance);
    expect((await takeBackup(vault, database)).instance).toBe(instance);
    expect((await takeBackup(vault, database, {adopt: other})).instance).toBe(other);
    expect((await takeBackup(vault, database)).instance).toBe(other);
    await expect(takeBackup(vault, database, {adopt: 'no-such-name'})).rejects.toMatchObject({
      code: 'BACKUP_NOT_FOUND',
      next: expect.stringContaining(instance),
    });
    await expect(takeBackup(vault, new FakeDatabase('e'.repeat(32)), {adopt: instance})).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      message: expect.stringContaining('ER007'),
    });
  });

  test('backups of an older bkp, which recorded no place, are continued wherever the database is', async () => {
    const store = newStore();
    const [vault, database] = [await open(store), someDatabase()];
    const {instance, backup} = await takeBackup(vault, database);
    const key = databaseManifestKey(instance, backup);
    const manifest = await parseManifest(await store.get(key), key);
    const {source, ...body} = manifest.body as {source: {origin?: unknown}};
    const {origin: _, ...before} = source;
    await store.delete([key]);
    await store.put(key, await sealManifest({...manifest, body: {...body, source: before} as JsonValue}));
    database.place = {host: 'db2', path: '/elsewhere', file: '9'};
    expect((await takeBackup(vault, database)).instance).toBe(instance);
  });

  test('a backup can name a new instance', async () => {
    const [vault, database] = [await open(newStore()), someDatabase()];
    expect((await takeBackup(vault, database, {instance: 'a-second-name'})).instance).toBe('a-second-name');
    await expect(takeBackup(vault, database, {instance: 'Not/Such'})).rejects.toMatchObject({code: 'BAD_NAME'});
  });

  test('a taken name is not used again', async () => {
    const vault = await open(newStore());
    const draws = [0, 0, 0, 0, 0, 0, 0, 0, 1];
    const pick = () => draws.shift()!;
    const take = (database: FakeDatabase) =>
      takeDatabaseBackup({...surroundings(), vault, source: database, pick}, {operation: '1'});
    expect((await take(someDatabase())).instance).toBe('acorn-acorn-acorn');
    expect((await take(new FakeDatabase('e'.repeat(32)))).instance).toBe('acorn-acorn-alder');
  });
});

test('the newest backup at or before a time is found', async () => {
  const [vault, database] = [await open(newStore()), someDatabase()];
  await expect(findDatabaseBackup(vault, {})).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
  const [micros, moments]: [number[], number[]] = [[], []];
  for (let n = 0; n < 3; n++) {
    database.takenAtMicros = surroundings().nowMicros();
    moments.push(database.takenAtMicros);
    await takeBackup(vault, database);
    micros.push((await listDatabaseBackups(vault)).at(-1)!.timestampMicros);
  }
  const found = async (at?: number) => {
    const {body} = await findDatabaseBackup(vault, at === undefined ? {} : {at});
    return (await listDatabaseBackups(vault)).findIndex(({backup}) => backup === body.backup);
  };
  expect(await found()).toBe(2);
  expect(await found(micros[1]!)).toBe(1);
  expect(await found(moments[1]! - 1)).toBe(0);
  await expect(found(moments[0]! - 1)).rejects.toMatchObject({
    code: 'BACKUP_NOT_FOUND',
    message: expect.stringMatching(/^backup restore error: No backup timestamp found that is <= 20\d\d-.*\.\d{6}Z$/),
  });
});

test('a backup of a later time than requested is found only by its own timestamp', async () => {
  const [vault, database] = [await open(newStore()), someDatabase()];
  const names: number[] = [];
  const moments: number[] = [];
  for (let n = 0; n < 2; n++) {
    // The checkpoint was made two seconds after the statement.
    database.takenAtMicros = Date.now() * 1000 + 2_000_000;
    await takeBackup(vault, database);
    names.push((await listDatabaseBackups(vault)).at(-1)!.timestampMicros);
    moments.push(database.takenAtMicros);
  }
  const found = async (at: number) => (await findDatabaseBackup(vault, {at})).body.takenAtMicros;
  expect(moments[0]).toBeGreaterThan(names[1]!);
  expect(await found(names[1]!)).toBe(moments[1]);
  expect(await found(moments[1]!)).toBe(moments[1]);
  expect(await found(moments[1]! - 1)).toBe(moments[0]);
  expect(await found(names[0]!)).toBe(moments[0]);
  await expect(found(moments[0]! - 1)).rejects.toMatchObject({
    code: 'BACKUP_NOT_FOUND',
    next: expect.stringContaining('contains what was committed until'),
  });
});

test('after a clock was ahead once, a restore to a time still finds later backups', async () => {
  const [vault, database] = [await open(newStore()), someDatabase()];
  const notices: string[] = [];
  const take = async (moment: string) => {
    const micros = Date.parse(moment) * 1000;
    database.takenAtMicros = micros;
    const tools = {...surroundings(), nowMicros: () => micros, notice: (text: string) => notices.push(text)};
    return (await takeDatabaseBackup({...tools, vault, source: database}, {operation: '1'})).backup;
  };
  const ahead = await take('2031-01-01T00:00:00Z');
  expect(notices).toEqual([]);
  const later = await take('2026-12-01T03:00:00Z');
  expect(later > ahead).toBe(true);
  expect(notices).toEqual([expect.stringContaining(ahead)]);
  const {body} = await findDatabaseBackup(vault, {at: Date.parse('2026-12-05') * 1000});
  expect(body.backup).toBe(later);
});

test('a backup that builds on lost chunks reads all files again', async () => {
  const store = newStore();
  const database = someDatabase();
  await takeBackup(await open(store), database);
  const packs = await keysOf(store, 'packs/');
  await store.delete(packs);
  const report = await takeBackup(await open(store), database);
  expect(report.filesRead).toBe(5);
  expect(database).toMatchObject({releases: database.freezes});
  expect((await restored(await open(store))).published).toEqual(contentOf(database));
});

describe('a process that ends at any call of the store', () => {
  async function copyOf(store: Store): Promise<Store> {
    const copy = newStore();
    for (const key of await keysOf(store)) await copy.put(key, await store.get(key));
    return copy;
  }

  test.each(['end after', 'fail'] as const)(
    '(%s) leaves older backups intact, and the next one succeeds',
    async (fault) => {
      const start = newStore();
      const database = someDatabase();
      const first = await takeBackup(await open(start), database);
      const old = contentOf(database);
      database.set('db/prices~2/day/price.d', noise(700, 9));
      database.set('db/new.d', noise(3000, 10));
      const counting = faultyStore(await copyOf(start), {at: 0, fault});
      // A lease of this living process would be waited for.
      const crashed = {name: 'h', pid: 1, started: '1', space: 's', isAlive: (pid: number) => pid !== 1};
      const next = {...crashed, pid: 2};
      await takeBackup(await open(counting, {create: false, host: crashed}), database);
      expect(counting.calls.some((call) => call.includes('/manifest'))).toBe(true);
      for (let at = 1; at <= counting.calls.length; at++) {
        const store = await copyOf(start);
        const crash = async () =>
          takeBackup(await open(faultyStore(store, {at, fault}), {create: false, host: crashed}), database);
        await crash().catch(() => {});
        const call = `call ${at}: ${counting.calls[at - 1]}`;
        expect(database.releases, call).toBe(database.freezes);
        const vault = await open(store, {create: false, host: next});
        const at0 = (await listDatabaseBackups(vault))[0]!;
        expect(at0.backup, call).toBe(first.backup);
        expect((await restored(vault, {at: at0.timestampMicros})).published, call).toEqual(old);
        await takeBackup(vault, database);
        expect((await restored(vault)).published, call).toEqual(contentOf(database));
      }
    },
  );

  test('in a first backup leaves at most an instance name, which the next one uses', async () => {
    const start = newStore();
    await open(start);
    const database = someDatabase();
    const crashed = {name: 'h', pid: 1, started: '1', space: 's', isAlive: (pid: number) => pid !== 1};
    const counting = faultyStore(await copyOf(start), {at: 0, fault: 'end after'});
    await takeBackup(await open(counting, {host: crashed}), database);
    for (let at = 1; at <= counting.calls.length; at++) {
      const store = await copyOf(start);
      const vault = await open(faultyStore(store, {at, fault: 'end after'}), {host: crashed}).catch(() => undefined);
      if (vault !== undefined) await takeBackup(vault, database).catch(() => {});
      const next = await open(store, {host: {...crashed, pid: 2}});
      const named = await listInstances(next);
      const {instance} = await takeBackup(next, database);
      const call = `call ${at}: ${counting.calls[at - 1]}`;
      expect(
        (await listInstances(next)).map(({name}) => name),
        call,
      ).toEqual([instance]);
      if (named.length > 0) expect(named[0]!.name, call).toBe(instance);
      expect((await restored(next)).published, call).toEqual(contentOf(database));
    }
  });
});
