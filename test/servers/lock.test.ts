import {HeadObjectCommand} from '@aws-sdk/client-s3';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {storeContract} from '../stores/contract.ts';
import {openStore} from './open.ts';
import {type S3Server, startMinio, startVersitygw} from './s3-server.ts';
import {objectsOf} from './secrets.ts';
import {openShop, someChanges} from './shop.ts';

const dayMs = 24 * 60 * 60 * 1000;

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('object lock on %s', (_, start) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.stop());

  describe('does not change the contract', () =>
    storeContract(async () => openStore(server, await server.bucket({objectLock: true}), {lockDays: 1})));

  const untilOf = async (bucket: string, key: string) => {
    const {ObjectLockRetainUntilDate} = await server.client.send(new HeadObjectCommand({Bucket: bucket, Key: key}));
    return ObjectLockRetainUntilDate?.getTime();
  };

  test('objects of a backup are locked, leases are not, and a cleanup reports the objects that must stay', async () => {
    const shop = openShop(3);
    const bucket = await server.bucket({objectLock: true});
    const notices: string[] = [];
    const place = shop.at(
      () => openStore(server, bucket, {lockDays: 1}),
      (text) => notices.push(text),
    );
    await place.create();
    const startedAtMs = Date.now();
    const full = await place.backup('shop', 'full');
    shop.exec(someChanges);
    await place.backup('shop', 'incremental');
    const keys = [...(await objectsOf(server, bucket)).keys()];
    for (const part of ['bkp.json', 'packs/', 'index/', 'manifest', 'definition'])
      expect(
        keys.some((key) => key.includes(part)),
        part,
      ).toBe(true);
    for (const key of keys) {
      const until = await untilOf(bucket, key);
      if (key.startsWith('locks/')) expect(until, key).toBeUndefined();
      else expect(until, key).toBeGreaterThanOrEqual(startedAtMs + dayMs - 1000);
    }

    await place.drop();
    await place.cleanUp();
    expect(notices.join('\n')).toMatch(/under retention until 20/);
    const after = await objectsOf(server, bucket);
    for (const key of keys.filter((key) => /^packs\/|^index\/|manifest$/.test(key)))
      expect(after.has(key), key).toBe(true);
    expect(full).toMatch(/_full$/);
  });

  test('no key removes a lock: the store reports locked objects, and removes the others', async () => {
    const store = await openStore(server, await server.bucket({objectLock: true}), {lockDays: 1});
    await store.put('locked', Buffer.from('a'), {retained: true});
    await store.put('free', Buffer.from('b'));
    const kept = await store.delete(['free', 'locked']);
    expect(kept).toEqual([{key: 'locked', untilMs: expect.any(Number)}]);
    expect(kept[0]!.untilMs).toBeGreaterThan(Date.now() + dayMs - 10_000);
    expect(await store.stat('free')).toBeUndefined();
    expect(Buffer.from(await store.get('locked')).toString()).toBe('a');
  });

  test('a lock period in a bucket without object lock is an error', async () => {
    const store = await openStore(server, await server.bucket(), {lockDays: 1});
    await expect(store.put('a', Buffer.from('a'), {retained: true})).rejects.toMatchObject({
      name: 'BkpError',
      next: expect.stringMatching(/lock/i),
    });
  });
});
