import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import type {Store} from '../../src/stores/index.ts';
import {changeKeys, readHeader, unlock, type Vault} from '../../src/vault/index.ts';
import {smallAtLeast} from '../../src/vault/write/merge-small.ts';
import {backup, encryptedWith, keysOf, manifestKey, noise, open, readAll, testKey} from '../vault/helpers.ts';
import {openedBy, reencrypt, rotate} from '../vault/reseal/re-encrypted.ts';
import {openStore} from './open.ts';
import {type S3Server, startMinio, startVersitygw} from './s3-server.ts';

const encryption = encryptedWith(testKey);
const large = noise(20 * 1024 * 1024, 1);
const pieces = () => Array.from({length: 160}, (_, at) => ({bytes: large.subarray(at << 17, (at + 1) << 17)}));

const unlockedAt = async (store: Store) => unlock(store, testKey, {vault: (await readHeader(store))!.id});

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('an encrypted vault on %s', (_, start) => {
  let server: S3Server;
  let bucket: string;
  beforeAll(async () => {
    server = await start();
    bucket = await server.bucket();
  });
  afterAll(() => server?.stop());

  const storeAt = (root: string): Promise<Store> => openStore(server, bucket, {root, timeouts: {}});

  async function withVault<T>(store: Store, isEncrypted: boolean, use: (vault: Vault) => Promise<T>): Promise<T> {
    const vault = await open(store, {graceMs: 0, ...(isEncrypted ? {encryption} : {})});
    try {
      return await use(vault);
    } finally {
      vault.close();
    }
  }

  const isIntact = (store: Store, isEncrypted: boolean, name: string) =>
    withVault(store, isEncrypted, async (vault) => {
      const {streams} = await vault.manifest(manifestKey(name));
      expect((await vault.verify(streams, {level: 'data'})).findings).toEqual([]);
      return large.equals(await readAll(vault, streams[0]!));
    });

  test('is backed up, read in ranges, verified and collected', async () => {
    const store = await storeAt('one');
    await withVault(store, true, (vault) => backup(vault, 'kept', pieces()));
    await withVault(store, true, (vault) => backup(vault, 'dropped', [{bytes: noise(300_000, 2)}]));
    expect(await isIntact(store, true, 'kept')).toBe(true);
    const packs = await keysOf(store, 'packs/');
    await withVault(store, true, async (vault) => {
      const collector = await vault.collector({purpose: 'cleanup'});
      await collector.remove([manifestKey('dropped')]);
      await collector.execute(await collector.plan());
      await collector.close();
    });
    expect(await keysOf(store, 'packs/')).toHaveLength(packs.length - 1);
    expect(await isIntact(store, true, 'kept')).toBe(true);
  });

  test('small packs are merged into one, and every backup is intact', async () => {
    const store = await storeAt('small');
    const backups = new Map<string, Buffer>();
    await withVault(store, true, async (vault) => {
      for (let at = 0; at < smallAtLeast; at++) {
        const [name, bytes] = [`small-${at}`, noise(2000, 1000 + at)];
        await backup(vault, name, [{bytes}]);
        backups.set(name, bytes);
      }
    });
    expect((await keysOf(store, 'packs/')).length).toBeGreaterThanOrEqual(smallAtLeast);
    await withVault(store, true, async (vault) => {
      const collector = await vault.collector({purpose: 'backup'});
      expect(await collector.mergeSmall()).toBeGreaterThanOrEqual(smallAtLeast);
      await collector.close();
    });
    expect(await keysOf(store, 'packs/')).toHaveLength(1);
    await withVault(store, true, async (vault) => {
      for (const [name, bytes] of backups) {
        const {streams} = await vault.manifest(manifestKey(name));
        expect(bytes.equals(await readAll(vault, streams[0]!))).toBe(true);
        expect((await vault.verify(streams, {level: 'data'})).findings).toEqual([]);
      }
    });
  });

  test('is sealed again with new keys in place', async () => {
    const store = await storeAt('again');
    await withVault(store, true, (vault) => backup(vault, 'one', pieces()));
    const before = await openedBy(store, (await unlockedAt(store)).ring.keys);
    expect(before.closed).toEqual([]);
    const old = (await unlockedAt(store)).ring.keys;
    await changeKeys({store, nowMs: 0}, await unlockedAt(store), rotate);
    const {damaged} = await withVault(store, true, (vault) => reencrypt(store, vault));
    expect(damaged).toEqual([]);
    const after = await openedBy(store, old);
    expect(after.opened).toEqual([]);
    expect(after.closed.sort()).toEqual(before.opened.sort());
    expect(await isIntact(store, true, 'one')).toBe(true);
  });

  test.each([
    ['plain', 'encrypted'],
    ['encrypted', 'plain'],
    ['encrypted', 'encrypted'],
  ])('is copied: %s to %s', async (from, to) => {
    const [source, target] = [await storeAt(`${from}-to-${to}`), await storeAt(`of-${from}-${to}`)];
    const [fromEncrypted, toEncrypted] = [from === 'encrypted', to === 'encrypted'];
    const recipe = await withVault(source, fromEncrypted, (vault) => backup(vault, 'one', pieces()));
    await withVault(source, fromEncrypted, (origin) =>
      withVault(target, toEncrypted, async (copy) => {
        const writer = await copy.writer({purpose: 'copy'});
        await writer.copyFrom(origin, [recipe]);
        await writer.commit(manifestKey('one'), {kind: 'test', streams: [recipe], body: {}});
        await writer.close();
      }),
    );
    expect(await isIntact(target, toEncrypted, 'one')).toBe(true);
  });
});
