import {join} from 'node:path';
import {expect, test} from 'vitest';
import {type BackupName, listBackups, planDropBackup, planDropCollection} from '../../../src/collections/index.ts';
import {BkpError} from '../../../src/errors/index.ts';
import {imageOf} from '../../helpers/sqlite-compare.ts';
import {startMs as nowMs, openShop} from './pinned-shop.ts';

const later = '2026-07-02T00:00:00.000Z';
const manifest = (backup: BackupName) => `.backups/collections/c/${backup}/manifest`;

test('a pinned backup stays, and goes with the cleanup after UNPIN', async () => {
  const shop = await openShop();
  const [a, b] = await shop.take('full', 'incremental');
  const image = imageOf(shop.database, ['t']);
  const [c] = await shop.take('incremental');
  await shop.pin(b!, {reason: 'before the migration'});
  await shop.take('incremental');
  expect((await shop.plan()).verdicts.map(({goes, why, rules}) => [goes, why, rules])).toEqual([
    [false, 'one of the newest 1, until the next backup', ['last']],
    [true, 'not one of the newest 1', []],
    [false, 'pinned: before the migration', ['pin']],
    [true, 'not one of the newest 1', []],
  ]);
  await shop.bench.cleanUp('c');
  const left = await shop.bench.backups('c');
  expect(left).toHaveLength(2);
  expect(left[0]).toBe(b);
  expect([a, c].some((name) => left.includes(name!))).toBe(false);
  await shop.bench.verify('c');
  await shop.bench.restore('c', join(shop.folder, 'b.db'), b);
  expect(imageOf(join(shop.folder, 'b.db'))).toEqual(image);
  await shop.unpin(b!);
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual(left.slice(1));
  expect(shop.pinKeys()).toEqual([]);
});

test('a pin ends at its time, and another PIN changes its end and reason', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  await shop.pin(a!, {reason: 'x'});
  await shop.pin(a!, {until: later, reason: 'y'});
  await shop.take('full');
  expect((await shop.plan()).verdicts.at(-1)).toMatchObject({
    goes: false,
    why: 'pinned until 2026-07-02T00:00:00Z: y',
  });
  await shop.bench.cleanUp('c');
  // The cleanup has removed the first pin, which counts no more.
  expect(shop.pinKeys()).toHaveLength(1);
  shop.clock.ms = Date.parse(later);
  expect((await shop.plan()).verdicts.at(-1)).toMatchObject({goes: true, rules: []});
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toHaveLength(1);
  expect(shop.pinKeys()).toEqual([]);
});

test('pins are listed, and only the newest one of a backup counts', async () => {
  const shop = await openShop();
  const [a, b] = await shop.take('full', 'full');
  await shop.pin(a!, {reason: 'x'});
  await shop.unpin(a!);
  await shop.pin(b!, {reason: 'y', until: later});
  const listed = await shop.bench.vault((vault) => listBackups(vault, 'c'));
  expect(listed.map(({name, pin}) => [name, pin?.reason, pin?.until])).toEqual([
    [a, undefined, undefined],
    [b, 'y', later],
  ]);
  expect((await shop.unpin(a!)).pin).toBeUndefined();
});

test('a collection with a pinned backup is not dropped; after UNPIN it is, without a trace', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  await shop.pin(a!);
  await expect(shop.drop()).rejects.toMatchObject({
    code: 'PRECONDITION',
    next: `UNPIN BACKUP c AT '${a}'`,
  });
  expect(await shop.bench.backups('c')).toEqual([a]);
  await shop.unpin(a!);
  await shop.drop();
  await shop.bench.cleanUp();
  expect([...shop.memory.objects.keys()].filter((key) => key.startsWith('.backups/'))).toEqual([]);
});

test('a pin whose time is over does not hinder DROP', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  await shop.pin(a!, {until: later});
  shop.clock.ms = Date.parse(later);
  await shop.drop();
  await shop.bench.cleanUp();
  expect([...shop.memory.objects.keys()].filter((key) => key.startsWith('.backups/'))).toEqual([]);
});

test('a pinned backup whose manifest an older bkp removes is still listed and restored', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  const image = imageOf(shop.database, ['t']);
  await shop.pin(a!);
  const [b] = await shop.take('full');
  shop.memory.objects.delete(manifest(a!));
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual([a, b]);
  await shop.bench.verify('c');
  await shop.bench.restore('c', join(shop.folder, 'a.db'), a);
  expect(imageOf(join(shop.folder, 'a.db'))).toEqual(image);
  // It also survives a DROP of an older bkp, which does not know pins.
  for (const key of [...shop.memory.objects.keys()]) {
    if (key.startsWith('.backups/') && !key.includes('/pins/')) shop.memory.objects.delete(key);
  }
  await shop.bench.cleanUp();
  expect(await shop.bench.backups('c')).toEqual([a]);
  await shop.bench.restore('c', join(shop.folder, 'again.db'), a);
});

test('a backup that has lost data is not pinned', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  for (const key of [...shop.memory.objects.keys()]) if (key.startsWith('packs/')) shop.memory.objects.delete(key);
  await expect(shop.pin(a!)).rejects.toMatchObject({message: expect.stringContaining(`c/${a} was not pinned`)});
  expect(shop.pinKeys().filter((key) => key.endsWith('manifest'))).toEqual([]);
});

test('PIN and UNPIN of a backup that does not exist are refused', async () => {
  const shop = await openShop();
  await expect(shop.pin('20200101000000Z_full' as BackupName)).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
  await shop.take('full');
  await expect(shop.pin('20200101000000Z_full' as BackupName)).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
  // A time would mean the newest backup before it: too easy to get wrong when a protection is removed.
  await expect(shop.unpin('2030-01-01' as BackupName)).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
});

test('DROP BACKUP removes one backup, and the others are restored exactly', async () => {
  const shop = await openShop();
  await shop.reset('KEEP_LATEST');
  const images = new Map<BackupName, unknown>();
  for (const type of ['full', 'incremental', 'incremental', 'full', 'incremental'] as const) {
    const [name] = await shop.take(type);
    images.set(name!, imageOf(shop.database, ['t']));
  }
  const names = [...images.keys()];
  for (const dropped of [names[0]!, names[2]!]) await shop.dropBackup(dropped);
  const left = await shop.bench.backups('c');
  expect(left).toEqual([names[1], names[3], names[4]]);
  await shop.bench.verify('c');
  for (const name of left) {
    await shop.bench.restore('c', join(shop.folder, `${name}.db`), name);
    expect(imageOf(join(shop.folder, `${name}.db`))).toEqual(images.get(name));
  }
  // The newest one is still there, so the chain continues.
  const [next] = await shop.take('incremental');
  await shop.bench.restore('c', join(shop.folder, 'next.db'), next);
  expect(imageOf(join(shop.folder, 'next.db'))).toEqual(imageOf(shop.database, ['t']));
});

test('after the newest backup was dropped, an increment is refused, so that it misses no changes', async () => {
  const shop = await openShop();
  await shop.reset('KEEP_LATEST');
  const [, , c] = await shop.take('full', 'incremental', 'incremental');
  const plan = await shop.bench.vault((vault) =>
    planDropBackup(vault, {collection: 'c', point: c, nowMs, readerOf: () => undefined}),
  );
  expect(plan.notices).toEqual([expect.stringContaining('the next backup must be a full one')]);
  await shop.dropBackup(c!);
  shop.exec("INSERT INTO t (at) VALUES ('after')");
  await expect(shop.bench.backup('c', 'incremental')).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
  const [full, increment] = await shop.take('full', 'incremental');
  expect(full).toMatch(/_full$/);
  await shop.bench.restore('c', join(shop.folder, 'new.db'), increment);
  expect(imageOf(join(shop.folder, 'new.db'))).toEqual(imageOf(shop.database, ['t']));
});

test('a backup that is pinned or being read is not dropped, also if that began after the statement', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  await expect(shop.dropBackup(a!, () => 'restore/5')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: `c/${a} was not dropped: restore/5 reads it`,
  });
  await shop.pin(a!);
  await expect(shop.dropBackup(a!)).rejects.toMatchObject({code: 'PRECONDITION', next: `UNPIN BACKUP c AT '${a}'`});
  expect(await shop.bench.backups('c')).toEqual([a]);
});

test('a backup with a damaged manifest can be dropped, and cleanups work again', async () => {
  const shop = await openShop();
  const [a, b] = await shop.take('full', 'full');
  shop.memory.objects.get(manifest(b!))!.bytes[40]! ^= 1;
  await expect(shop.bench.cleanUp('c')).rejects.toBeInstanceOf(BkpError);
  await shop.dropBackup(b!);
  expect(await shop.bench.backups('c')).toEqual([a]);
  await shop.bench.cleanUp('c');
});

test('a backup under object lock is not dropped, and the error names the end of the lock', async () => {
  const shop = await openShop((inner) => ({
    ...inner,
    delete: async (keys) => {
      const held = keys.filter((key) => key.endsWith('/manifest'));
      await inner.delete(keys.filter((key) => !held.includes(key)));
      return held.map((key) => ({key, untilMs: Date.UTC(2030, 0, 1)}));
    },
  }));
  const [a] = await shop.take('full');
  await expect(shop.dropBackup(a!)).rejects.toMatchObject({
    code: 'PRECONDITION',
    cause: expect.stringContaining('2030-01-01T00:00:00.000Z'),
  });
  expect(await shop.bench.backups('c')).toEqual([a]);
});

test('a statement that removes must name a backup exactly', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  const plan = (point: string | undefined) =>
    shop.bench.vault((vault) => planDropBackup(vault, {collection: 'c', point, nowMs, readerOf: () => undefined}));
  for (const point of [undefined, 'latest', ' LATEST ']) {
    await expect(plan(point)).rejects.toMatchObject({code: 'BAD_REQUEST'});
  }
  for (const point of ['2030-01-01', '2026-07-01T00:00:01Z']) {
    await expect(plan(point)).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
  }
  for (const point of [a!, a!.slice(0, 15), '2026-07-01T00:00:00Z']) expect((await plan(point)).backup).toBe(a);
});

test('what DROP would remove includes the objects of pins that are over', async () => {
  const shop = await openShop();
  const [a] = await shop.take('full');
  await shop.pin(a!);
  const plan = () => shop.bench.vault((vault) => planDropCollection(vault, {name: 'c', nowMs: shop.clock.ms}));
  await expect(plan()).rejects.toMatchObject({code: 'PRECONDITION'});
  await shop.unpin(a!);
  expect(await plan()).toEqual([{label: `c/${a}`, keys: [manifest(a!), ...shop.pinKeys()]}]);
});
