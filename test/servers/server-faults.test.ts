import {readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DeleteBucketCommand, DeleteObjectsCommand, ListObjectsV2Command, type S3Client} from '@aws-sdk/client-s3';
import {afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import {mayMount, smallDisk} from '../helpers/small-disk.ts';
import {hooked, once} from './hooked.ts';
import {openStore, shortTimeouts} from './open.ts';
import {type S3Server, startMinio, startVersitygw} from './s3-server.ts';
import {everythingIn} from './secrets.ts';
import {openShop, someChanges} from './shop.ts';

// Faults of the server itself. Every operation must end with a clear error or the correct rows, never hang, and
// keep earlier backups intact.

const mebi = 1024 * 1024;
const changeAll = 'UPDATE orders SET scan = randomblob(16 * 1024)';

const servers: S3Server[] = [];
const keep = (server: S3Server) => {
  servers.push(server);
  return server;
};
afterAll(() => Promise.all(servers.map((server) => server.stop())));

const thrownBy = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Requests in flight may arrive between emptying and removal: then it tries again. */
async function removeBucket(client: S3Client, bucket: string): Promise<void> {
  for (;;) {
    const {Contents = []} = await client.send(new ListObjectsV2Command({Bucket: bucket}));
    const Objects = Contents.map(({Key}) => ({Key}));
    if (Objects.length > 0) await client.send(new DeleteObjectsCommand({Bucket: bucket, Delete: {Objects}}));
    try {
      await client.send(new DeleteBucketCommand({Bucket: bucket}));
      return;
    } catch (error) {
      if ((error as Error).name !== 'BucketNotEmpty') throw error;
    }
  }
}

function expectTold(error: unknown, code: string | RegExp, server: S3Server): void {
  expect(error).toBeInstanceOf(BkpError);
  expect(error).toMatchObject({code: expect.stringMatching(code)});
  // The next step after damage depends on the statement, which adds it.
  if (!/OBJECT/.test((error as BkpError).code)) expect(error).toMatchObject({next: expect.any(String)});
  expect(everythingIn(error)).not.toContain(server.keys.secretAccessKey);
}

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s', (_, start) => {
  test.skipIf(!mayMount)(
    'a full disk is reported as such, leaves no partial backup, and the next backup succeeds',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'bkp-full-'));
      onTestFinished(() => rm(folder, {recursive: true, force: true}));
      const disk = smallDisk(join(folder, 'disk'), 96 * mebi);
      const server = await start({data: disk.folder});
      // Before the disk is unmounted.
      onTestFinished(() => server.stop());
      const bucket = await server.bucket();
      const shop = openShop(6);
      const place = shop.at(() => openStore(server, bucket));
      await place.create();
      await place.backup('shop', 'full');
      let before = shop.keepCopy();
      let failures = 0;
      // Room for nothing; for a small object; for one pack and no more.
      for (const leftBytes of [0, 64 * 1024, 3 * mebi, 5 * mebi]) {
        shop.exec(changeAll);
        disk.leave(leftBytes);
        const error = await thrownBy(place.backup('shop', 'full'));
        disk.leave(undefined);
        if (error === undefined) before = shop.keepCopy();
        else {
          failures++;
          expectTold(error, 'STORE_FULL', server);
        }
        await place.verify('shop');
        await place.expectRestored({copy: before});
      }
      expect(failures).toBeGreaterThan(1);
      // MinIO checks the free space only at intervals.
      await expect.poll(() => place.backup('shop', 'full').catch(() => undefined)).toBeDefined();
      await place.expectRestored();
    },
  );

  describe('in the middle of a backup and of a restore', () => {
    let server: S3Server;
    beforeAll(async () => {
      server = keep(await start());
    });
    // The next test finds the server in its initial state.
    afterEach(async () => {
      await server.kill();
      await server.start();
    });

    /** A shop with a full backup; `act` runs in the middle of the next backup. */
    async function interrupted(act: (bucket: string) => Promise<void>) {
      const bucket = await server.bucket();
      const shop = openShop(60);
      const clean = shop.at(() => openStore(server, bucket, {timeouts: {patienceMs: 30_000}}));
      await clean.create();
      await clean.backup('shop', 'full');
      const before = shop.keepCopy();
      shop.exec(changeAll);
      const {hook, done} = once({call: 'put', prefix: 'packs/', at: 2}, () => act(bucket));
      const hurt = shop.at(async () => hooked(await openStore(server, bucket, {timeouts: shortTimeouts}), hook));
      return {bucket, shop, clean, hurt, before, done};
    }

    test('a removed bucket ends as an error', async () => {
      const {hurt, done} = await interrupted((bucket) => removeBucket(server.client, bucket));
      expectTold(await thrownBy(hurt.backup('shop', 'full')), 'STORE_UNAVAILABLE', server);
      expect(done()).toBe(true);
      expectTold(await thrownBy(hurt.backups('shop')), 'STORE_UNAVAILABLE|VAULT_ABSENT', server);
    });

    test('a suspended server ends as an error, and backups succeed once it resumes', async () => {
      const {hurt, clean, before, shop, done} = await interrupted(async () => server.freeze());
      const error = await thrownBy(hurt.backup('shop', 'full'));
      expectTold(error, 'STORE_UNAVAILABLE', server);
      // The first error, not one from the later release of the lease.
      expect((error as BkpError).message).toMatch(/could not (read|write) packs/);
      expect(done()).toBe(true);
      server.thaw();
      await clean.verify('shop');
      await clean.expectRestored({copy: before});
      await clean.backup('shop', 'full');
      await clean.expectRestored();
      expect(shop.database).not.toBe(before);
    });

    test('a killed server that starts again in time is waited for', async () => {
      const {bucket, clean, shop, done} = await interrupted(async () => {});
      expect(done()).toBe(false);
      const restart = async () => {
        await server.kill();
        setTimeout(() => void server.start(), 300);
      };
      const through = (call: 'put' | 'get', at: number) => {
        const {hook} = once({call, prefix: 'packs/', at}, restart);
        return shop.at(async () => hooked(await openStore(server, bucket, {timeouts: {patienceMs: 60_000}}), hook));
      };
      await through('put', 2).backup('shop', 'full');
      await clean.verify('shop');
      await through('get', 2).expectRestored();
      shop.exec(someChanges);
      await through('put', 1).backup('shop', 'incremental');
      await clean.verify('shop');
      await clean.expectRestored();
    });

    test('a killed server that does not start again ends as an error', async () => {
      const {hurt, clean, before, done} = await interrupted(() => server.kill());
      expectTold(await thrownBy(hurt.backup('shop', 'full')), 'STORE_UNAVAILABLE', server);
      expect(done()).toBe(true);
      await server.start();
      await clean.verify('shop');
      await clean.expectRestored({copy: before});
    });
  });
});

test('keys revoked during a backup end as an error', async () => {
  const server = keep(await startMinio());
  const bucket = await server.bucket();
  const shop = openShop(60);
  const place = shop.at(() => openStore(server, bucket));
  await place.create();
  await place.backup('shop', 'full');
  const before = shop.keepCopy();
  const revoke = async () => {
    await server.kill();
    await server.start({MINIO_ROOT_PASSWORD: 'another-secret-now'});
  };
  const giveBack = async () => {
    await server.kill();
    await server.start();
  };
  const halfWay = (call: 'put' | 'get') => {
    const {hook} = once({call, prefix: 'packs/', at: 2}, revoke);
    // Interrupted requests are retried until the server has started again, however long that takes.
    const timeouts = {...shortTimeouts, patienceMs: 60_000};
    return shop.at(async () => hooked(await openStore(server, bucket, {timeouts}), hook));
  };
  shop.exec(changeAll);
  expectTold(await thrownBy(halfWay('put').backup('shop', 'full')), 'STORE_DENIED', server);
  await giveBack();
  await place.verify('shop');
  expectTold(await thrownBy(halfWay('get').expectRestored()), 'STORE_DENIED', server);
  await giveBack();
  await place.expectRestored({copy: before});
  await place.backup('shop', 'full');
  await place.expectRestored();
});

describe('objects damaged in the store', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = keep(await startVersitygw());
  });

  const hurts: Record<string, (file: string) => void> = {
    'a flipped bit': (file) => {
      const bytes = readFileSync(file);
      bytes[100]! ^= 1;
      writeFileSync(file, bytes);
    },
    'a missing object': (file) => rmSync(file),
    'an object cut short': (file) => writeFileSync(file, readFileSync(file).subarray(0, 200)),
    'an object of other bytes': (file) => writeFileSync(file, 'something else'),
  };

  test.each(Object.entries(hurts))(
    '%s in a pack: VERIFY names it, RESTORE refuses, a new backup mends',
    async (_, hurt) => {
      const {place, shop, pack, key} = await withPack();
      hurt(pack);
      const found = await thrownBy(place.verify('shop'));
      expect(found).toMatchObject({code: 'DAMAGE_FOUND'});
      expect((found as BkpError).details.join('\n')).toContain(key);
      const target = await thrownBy(place.expectRestored());
      expectTold(target, '^OBJECT_(MISSING|DAMAGED)$', server);
      shop.exec(changeAll);
      await place.backup('shop', 'full');
      await place.expectRestored();
    },
  );

  test('a manifest with a flipped bit is reported, and the previous backup restores', async () => {
    const {place, shop, folder} = await withPack();
    const [full] = await place.backups('shop');
    const before = shop.keepCopy();
    shop.exec(someChanges);
    const newest = await place.backup('shop', 'incremental');
    hurts['a flipped bit']!(join(folder, '.backups/collections/shop', newest, 'manifest'));
    const found = await thrownBy(place.verify('shop'));
    expect(found).toMatchObject({code: 'DAMAGE_FOUND'});
    expect((found as BkpError).details.join('\n')).toContain(newest);
    expectTold(await thrownBy(place.expectRestored()), 'OBJECT_DAMAGED', server);
    await place.expectRestored({copy: before, point: full!});
  });

  async function withPack() {
    const bucket = await server.bucket();
    const shop = openShop(2);
    const place = shop.at(() => openStore(server, bucket));
    await place.create();
    await place.backup('shop', 'full');
    const folder = join(server.objects, bucket);
    const packs = readdirSync(join(folder, 'packs'), {recursive: true, withFileTypes: true}).filter((entry) =>
      entry.isFile(),
    );
    expect(packs.length).toBeGreaterThan(0);
    return {place, shop, folder, pack: join(packs[0]!.parentPath, packs[0]!.name), key: packs[0]!.name};
  }
});
