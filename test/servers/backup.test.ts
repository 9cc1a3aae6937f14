import {ListObjectVersionsCommand} from '@aws-sdk/client-s3';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import {openStore, shortTimeouts} from './open.ts';
import {type S3Server, startMinio} from './s3-server.ts';
import {everythingIn} from './secrets.ts';
import {appendOnly, sessionKeys} from './session-keys.ts';
import {openShop, someChanges} from './shop.ts';
import {type FaultyLine, startToxiproxy, type Toxiproxy} from './toxiproxy.ts';

let minio: S3Server;
beforeAll(async () => {
  minio = await startMinio();
});
afterAll(() => minio?.stop());

describe('over a bad connection', () => {
  let proxy: Toxiproxy;
  let line: FaultyLine;
  beforeAll(async () => {
    proxy = await startToxiproxy();
    line = await proxy.line(minio);
  });
  afterAll(() => proxy?.stop());

  test('backups and restores with 20 % resets and cuts return the same rows', async () => {
    const shop = openShop(40);
    const bucket = await minio.bucket();
    const clean = shop.at(() => openStore(minio, bucket));
    const bad = shop.at(() => openStore(minio, bucket, {endpoint: line.endpoint, timeouts: {patienceMs: 60_000}}));
    // Six resets in a row mean a wrong address to a store that was never reached: at 20 % that is one start in 15,000.
    await line.add({type: 'reset_peer', attributes: {timeout: 0}}, {toxicity: 0.2});
    // A kept connection may be one that is spared; a cut after a number of bytes forces new connections.
    await line.add({type: 'limit_data', attributes: {bytes: 5_000_000}}, {stream: 'upstream', toxicity: 0.5});
    await line.add({type: 'limit_data', attributes: {bytes: 2_000_000}}, {toxicity: 0.7});
    await bad.create();
    const full = await bad.backup('shop', 'full');
    const before = shop.keepCopy();
    shop.exec(someChanges);
    await bad.backup('shop', 'incremental');
    await bad.verify('shop');
    await bad.expectRestored();
    await bad.expectRestored({copy: before, point: full});
    await clean.verify('shop');
    await clean.expectRestored();
  });

  test('a permanent cut is a clear error, and the previous backup still restores', async () => {
    const shop = openShop(4);
    const bucket = await minio.bucket();
    const clean = shop.at(() => openStore(minio, bucket));
    const bad = shop.at(() => openStore(minio, bucket, {endpoint: line.endpoint, timeouts: shortTimeouts}));
    await clean.create();
    await clean.backup('shop', 'full');
    const before = shop.keepCopy();
    shop.exec('UPDATE orders SET scan = randomblob(16 * 1024)');
    await line.heal();
    await line.add({type: 'limit_data', attributes: {bytes: 1_000_000}}, {stream: 'upstream'});
    const error = await bad.backup('shop', 'full').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BkpError);
    expect(error).toMatchObject({code: 'STORE_UNAVAILABLE', next: expect.any(String)});
    expect(everythingIn(error)).not.toContain(minio.keys.secretAccessKey);
    await line.heal();
    await clean.verify('shop');
    await clean.expectRestored({copy: before});
    await clean.backup('shop', 'incremental');
    await clean.expectRestored();
  });
});

describe('a key that may neither remove nor overwrite', () => {
  test('suffices for backups and restores, but not for removals', async () => {
    const shop = openShop(8);
    // Versions reveal every overwritten or removed object.
    const bucket = await minio.bucket({objectLock: true});
    const keys = await sessionKeys(minio, appendOnly);
    const careful = shop.at(() => openStore(minio, bucket, {credentials: keys}));
    const owner = shop.at(() => openStore(minio, bucket));
    await careful.create();
    const full = await careful.backup('shop', 'full');
    const before = shop.keepCopy();
    shop.exec(someChanges);
    await careful.backup('shop', 'incremental');
    await careful.verify('shop');
    await careful.expectRestored();
    await careful.expectRestored({copy: before, point: full});
    expect(await changedKeys(bucket)).toEqual([]);

    await careful.drop();
    const error = await careful.cleanUp().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({code: 'STORE_DENIED', next: expect.any(String)});
    for (const secret of [keys.secretAccessKey, keys.sessionToken]) expect(everythingIn(error)).not.toContain(secret);
    expect(await changedKeys(bucket)).toEqual([]);
    expect(await owner.cleanUp()).toBeGreaterThan(8 * 1024 * 1024);

    await careful.create();
    await careful.backup('shop', 'full');
    await careful.expectRestored();
    await owner.verify('shop');
  });

  /** All objects with more than one version, or with a delete marker. */
  async function changedKeys(bucket: string): Promise<string[]> {
    const {Versions = [], DeleteMarkers = []} = await minio.client.send(
      new ListObjectVersionsCommand({Bucket: bucket}),
    );
    const keys = [...Versions, ...DeleteMarkers].map(({Key = ''}) => Key);
    expect(keys.length).toBeGreaterThan(5);
    return keys.filter((key, n) => keys.indexOf(key) !== n);
  }
});
