import {afterEach} from 'vitest';
import {openS3Store, type S3StoreOptions, type Store} from '../../../src/stores/index.ts';
import {type FakeS3, type FakeS3Options, startFakeS3} from '../../helpers/fake-s3.ts';

/** What must never be seen anywhere. */
export const secrets = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: 'FwoGZXIvYXdzEXAMPLETOKEN',
};

const started: FakeS3[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.close()));
});

/** A server of its own for one test; it is closed after it. */
export async function fakeServer(options: FakeS3Options = {}): Promise<FakeS3> {
  const server = await startFakeS3(options);
  started.push(server);
  return server;
}

export const storeOn = (server: FakeS3, more: Partial<S3StoreOptions> = {}): Promise<Store> =>
  openS3Store({bucket: server.bucket, endpoint: server.endpoint, root: '', credentials: secrets, ...more});

/** A server and a store on it. */
export async function fakeStore(
  server: FakeS3Options = {},
  store: Partial<S3StoreOptions> = {},
): Promise<{server: FakeS3; store: Store}> {
  const started = await fakeServer(server);
  return {server: started, store: await storeOn(started, store)};
}
