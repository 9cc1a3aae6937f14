import {describe, expect, test} from 'vitest';
import {
  findDatabaseBackup,
  listDatabaseBackups,
  planDatabaseRestore,
  restoreDatabase,
  verifyDatabaseBackups,
} from '../../../src/database/index.ts';
import {writeFileList} from '../../../src/database/stored/catalog.ts';
import {toDatabaseManifest} from '../../../src/database/stored/manifest.ts';
import {databaseManifestKey} from '../../../src/database/stored/names.ts';
import type {Store} from '../../../src/stores/index.ts';
import {chunkId, IdList, type Vault} from '../../../src/vault/index.ts';
import {keysOf, newStore, noise, open} from '../../vault/helpers.ts';
import {contentOf, FakeDatabase, FakeTarget, surroundings, takeBackup} from '../fakes.ts';

function someDatabase(): FakeDatabase {
  const database = new FakeDatabase();
  database.set('db/tables.d.0', 'trades, prices');
  database.set('db/trades~1/price.d', noise(1000, 1), {table: 'trades'});
  for (let n = 0; n < 20; n++) database.set(`db/prices~2/${n}.d`, noise(500, 20 + n), {table: 'prices'});
  return database;
}

async function restore(vault: Vault, target: FakeTarget, signal?: AbortSignal) {
  const plan = await planDatabaseRestore({vault, target}, {}, {fetchBytes: false});
  return restoreDatabase({...surroundings(signal), vault, target}, plan);
}

/** Changes one byte of incompressible content in every pack that contains it. */
async function damage(store: Store, bytes: Uint8Array): Promise<void> {
  for (const key of await keysOf(store, 'packs/')) {
    const pack = Buffer.from(await store.get(key));
    const at = pack.indexOf(bytes);
    if (at === -1) continue;
    pack[at + 5]! ^= 1;
    await store.put(key, pack);
    return;
  }
  throw new Error('no pack holds these bytes');
}

test('a plan describes what will be restored, and writes nothing', async () => {
  const vault = await open(newStore());
  const database = someDatabase();
  database.set('db/trades~1/price.d', noise(1000, 1), {zeroTailBytes: 5000});
  database.set('db/prices~2/same.d', noise(500, 20), {table: 'prices'});
  await takeBackup(vault, database);
  const target = new FakeTarget();
  const surveyed = Object.assign(target, {
    survey: async () => ({freeBytes: 7, inTheWay: 'The local database is not empty.'}),
  });
  const plan = await planDatabaseRestore({vault, target: surveyed}, {});
  const logicalBytes = 14 + 1000 + 21 * 500;
  expect(plan).toMatchObject({
    files: 23,
    logicalBytes,
    neededBytes: logicalBytes + 5000,
    freeBytes: 7,
    inTheWay: 'The local database is not empty.',
  });
  // Two files have the same content, which is fetched once.
  expect(plan.fetchBytes).toBe(logicalBytes - 500);
  expect(target.prepared).toBeUndefined();
});

describe('an interrupted restore', () => {
  test('is continued: complete files are checked and kept, others written again', async () => {
    const [vault, database, target] = [await open(newStore()), someDatabase(), new FakeTarget()];
    await takeBackup(vault, database);
    let left = 12;
    target.onWrite = () => {
      if (left-- === 0) throw new Error('killed');
    };
    await expect(restore(vault, target)).rejects.toThrow('killed');
    expect(target.failed).toBeUndefined();
    expect(target.published).toBeUndefined();
    const [first, second, third, fourth] = [...target.staged.keys()];
    target.staged.get(first!)![3]! ^= 1;
    target.staged.set(second!, target.staged.get(second!)!.subarray(1));
    target.staged.set(third!, Buffer.concat([target.staged.get(third!)!, Buffer.from('more')]));
    target.staged.set(fourth!, target.staged.get(fourth!)!.subarray(0, 64));
    target.onWrite = () => {};
    target.written.length = 0;
    const report = await restore(vault, target);
    expect(target.published).toEqual(contentOf(database));
    expect(report).toMatchObject({files: 22, filesTakenOver: 8});
    expect(target.written).toHaveLength(14);
    expect(target.written).toEqual(expect.arrayContaining([first, second, third, fourth]));
  });

  test('publishes nothing if it was cancelled', async () => {
    const [vault, database, target] = [await open(newStore()), someDatabase(), new FakeTarget()];
    await takeBackup(vault, database);
    const cancel = new AbortController();
    target.onWrite = () => cancel.abort(new Error('cancelled'));
    await expect(restore(vault, target, cancel.signal)).rejects.toThrow('cancelled');
    expect(target.published).toBeUndefined();
    expect(target.failed).toBeUndefined();
  });
});

describe('damage', () => {
  test('of one byte of a file stops the restore, names the file, and blocks the next try', async () => {
    const [store, database] = [newStore(), someDatabase()];
    await takeBackup(await open(store), database);
    const block = database.files.get('db/prices~2/13.d')!.bytes.subarray(64, 128);
    await damage(store, block);
    const vault = await open(store);
    const target = new FakeTarget();
    await expect(restore(vault, target)).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: `hash mismatch [path=db/prices~2/13.d, expected=${chunkId(block)}, actual=unreadable]`,
    });
    expect(target.failed).toEqual(['prices']);
    expect(target.published).toBeUndefined();
    await expect(restore(vault, target)).rejects.toMatchObject({message: 'Failed restore directory found'});
    const {code, details} = await verifyDatabaseBackups({...surroundings(), vault}, {level: 'data'}).catch(
      (error) => error,
    );
    expect(code).toBe('DAMAGE_FOUND');
    expect(details.join()).toMatch(/^db\/prices~2\/13\.d of [a-z-]+\/20\d{6}T/);
    // The next backup writes the damaged data again, although no file has changed.
    await takeBackup(await open(store), database);
    const again = await open(store);
    const whole = new FakeTarget();
    await restore(again, whole);
    expect(whole.published).toEqual(contentOf(database));
    await verifyDatabaseBackups({...surroundings(), vault: again}, {level: 'data'});
  });

  test('is reported as such even by a target that wraps every error', async () => {
    const [store, database] = [newStore(), someDatabase()];
    await takeBackup(await open(store), database);
    await damage(store, database.files.get('db/trades~1/price.d')!.bytes.subarray(640, 704));
    const target = new FakeTarget();
    const write = target.write.bind(target);
    target.write = (file, bytes) =>
      write(file, bytes).catch(() => {
        throw new Error('could not write');
      });
    await expect(restore(await open(store), target)).rejects.toMatchObject({
      message: expect.stringContaining('hash mismatch [path=db/trades~1/price.d'),
    });
    expect(target.failed).toEqual(['trades']);
  });

  test('of a whole missing pack is reported with what is missing', async () => {
    const [store, database, target] = [newStore(), someDatabase(), new FakeTarget()];
    await takeBackup(await open(store), database);
    const lists = await findDatabaseBackup(await open(store), {});
    expect(lists.data.depth).toBe(1);
    // With short lists, the manifest contains all of them, so only content is lost.
    database.files.clear();
    database.set('file', noise(2000, 50), {table: 't'});
    const vault = await open(store);
    const before = await keysOf(store, 'packs/');
    const {list} = await takeBackup(vault, database).then(() => findDatabaseBackup(vault, {}));
    const [added] = (await keysOf(store, 'packs/')).filter((key) => !before.includes(key));
    const bytes = await vault.read(list)[Symbol.asyncIterator]().next();
    await store.delete([added!]);
    // A backup of another database with the same file list restores that list.
    const writer = await (await open(store)).writer({purpose: 'test'});
    await writer.write([{bytes: bytes.value}]);
    await writer.flush();
    await writer.close();
    // A dry run checks each pack; a restore without one names the file that it cannot restore.
    await expect(planDatabaseRestore({vault: await open(store), target}, {})).rejects.toMatchObject({
      code: 'OBJECT_MISSING',
      context: {key: added},
    });
    await expect(restore(await open(store), target)).rejects.toMatchObject({
      message: expect.stringMatching(/^hash mismatch \[path=file, expected=[0-9a-f]{64}, actual=missing\]$/),
    });
    expect(target.failed).toEqual(['t']);
  });
});

test('a manifest whose paths lead out of the target is refused before anything is written', async () => {
  for (const path of ['../outside', '/etc/cron.d/x', 'a/../../b', 'db/./x', 'db//x', 'a\0b', '..']) {
    const vault = await open(newStore());
    const database = new FakeDatabase();
    database.set('fine', 'x');
    const {instance, backup} = await takeBackup(vault, database);
    const {body} = await findDatabaseBackup(vault, {});
    const writer = await vault.writer({purpose: 'test'});
    await writer.write([{bytes: Buffer.from('x')}]);
    const evil = backup.replace(/^20\d\d/, '2099') as typeof backup;
    const list = await writeFileList(writer, [{path, sizeBytes: 1, zeroTailBytes: 0, blockBytes: 64}]);
    const data = await writer.writeIds(IdList.of([chunkId(Buffer.from('x'))]).bytes(), 1);
    await writer.commit(
      databaseManifestKey(instance, evil),
      toDatabaseManifest({body: {...body, backup: evil, bytes: 1}, list, data}),
    );
    await writer.close();
    const target = new FakeTarget();
    await expect(restore(vault, target), path).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringContaining('is not below the root'),
    });
    expect(target.prepared).toBeUndefined();
    const verify = verifyDatabaseBackups({...surroundings(), vault}, {level: 'structure'});
    await expect(verify).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
  }
});

test("a manifest copied to another backup's key is refused", async () => {
  const store = newStore();
  const vault = await open(store);
  const {instance, backup} = await takeBackup(vault, someDatabase());
  const later = backup.replace(/^20\d\d/, '2099') as typeof backup;
  await store.put(databaseManifestKey(instance, later), await store.get(databaseManifestKey(instance, backup)));
  await expect(findDatabaseBackup(vault, {})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect((await listDatabaseBackups(vault))[1]).toMatchObject({
    error: expect.stringContaining('it is of backup'),
  });
});

test('VERIFY without any backup fails with BACKUP_NOT_FOUND', async () => {
  const vault = await open(newStore());
  await expect(verifyDatabaseBackups({...surroundings(), vault}, {level: 'data'})).rejects.toMatchObject({
    code: 'BACKUP_NOT_FOUND',
  });
  await takeBackup(vault, someDatabase());
  expect(await verifyDatabaseBackups({...surroundings(), vault}, {level: 'data'})).toMatchObject({
    backups: 1,
    logicalBytes: 14 + 1000 + 20 * 500,
  });
});
