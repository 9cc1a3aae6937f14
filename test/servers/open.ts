import {openS3Store, type S3StoreOptions, type Store} from '../../src/stores/index.ts';
import type {Keys, S3Server} from './s3-server.ts';

/** Short enough for a test, and long enough for a busy machine. */
export const shortTimeouts = {connectMs: 2000, stallMs: 1500, patienceMs: 8000};

/** A store in this bucket, with the owner's keys unless `options` has others. */
export function openStore(server: S3Server, bucket: string, options: Partial<S3StoreOptions> = {}): Promise<Store> {
  const {endpoint, region, keys} = server;
  return openS3Store({bucket, root: '', endpoint, region, credentials: keys, timeouts: shortTimeouts, ...options});
}

/** The address of the same store for bkp, including the keys. */
export function storeText(server: S3Server, bucket: string, options: {root?: string; keys?: Keys} = {}): string {
  const {endpoint, region} = server;
  const {root, keys = server.keys} = options;
  const parts = {
    bucket,
    region,
    endpoint,
    root,
    access_key_id: keys.accessKeyId,
    secret_access_key: keys.secretAccessKey,
    session_token: keys.sessionToken,
  };
  const given = Object.entries(parts).filter(([, value]) => value !== undefined);
  return `s3::${given.map(([name, value]) => `${name}=${value};`).join('')}`;
}
