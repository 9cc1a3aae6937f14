import {openS3Store, type Store} from '../../src/stores/index.ts';
import type {S3Server} from './s3-server.ts';

type S3StoreOptions = Parameters<typeof openS3Store>[0];

/** Short enough for a test, long enough for a busy machine. */
export const shortTimeouts = {connectMs: 2000, stallMs: 1500, patienceMs: 8000};

/** A store in this bucket with the owner's keys, which may be others by `options`. */
export function openStore(server: S3Server, bucket: string, options: Partial<S3StoreOptions> = {}): Promise<Store> {
  const {endpoint, region, keys} = server;
  return openS3Store({bucket, root: '', endpoint, region, credentials: keys, timeouts: shortTimeouts, ...options});
}
