import {randomBytes} from 'node:crypto';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {CreateBucketCommand, S3Client} from '@aws-sdk/client-s3';
import {type ServerProcess, startServer} from './process.ts';

export type Keys = {accessKeyId: string; secretAccessKey: string; sessionToken?: string};

export type S3Server = ServerProcess & {
  name: 'minio' | 'versitygw';
  endpoint: string;
  region: string;
  /** The keys of the server's owner, who may do everything. */
  keys: Keys;
  /** An SDK client of the owner, for calls that the store under test cannot or must not make. */
  client: S3Client;
  /** Creates an empty bucket and returns its name. */
  bucket: (options?: {objectLock?: boolean}) => Promise<string>;
  /** The folder with objects as plain files, `<folder>/<bucket>/<key>`; versitygw only. */
  objects: string;
};

/** A word that occurs in no other text, so that a test can search for it. */
const secret = () => `secret-${randomBytes(12).toString('hex')}`;

/**
 * @param options.data default: a temporary folder
 * @param options.env variables besides those that the server needs
 */
export async function startMinio(options: {data?: string; env?: Record<string, string>} = {}): Promise<S3Server> {
  const keys = {accessKeyId: 'minio-owner', secretAccessKey: secret()};
  const data = (folder: string) => options.data ?? join(folder, 'data');
  const server = await startServer({
    name: 'minio',
    args: (port, folder) => ['server', '--address', `127.0.0.1:${port}`, '--quiet', '--anonymous', data(folder)],
    env: {
      MINIO_ROOT_USER: keys.accessKeyId,
      MINIO_ROOT_PASSWORD: keys.secretAccessKey,
      MINIO_REGION: 'us-east-1',
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
      ...options.env,
    },
    isReady: async (port) => (await answer(port, '/minio/health/live')) === 200,
  });
  return s3Server('minio', server, keys, '');
}

/** @param options.data default: a temporary folder */
export async function startVersitygw(options: {data?: string} = {}): Promise<S3Server> {
  const keys = {accessKeyId: 'versity-owner', secretAccessKey: secret()};
  let objects = '';
  const server = await startServer({
    name: 'versitygw',
    args: (port, folder) => {
      objects = options.data ?? join(folder, 'objects');
      const places = [objects, join(folder, 'versions'), join(folder, 'attributes')];
      for (const place of places) mkdirSync(place, {recursive: true});
      // Attributes in separate files, because not every file system has user attributes.
      const posix = ['posix', '--versioning-dir', places[1]!, '--sidecar', places[2]!, objects];
      return ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', ...posix];
    },
    env: {ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey},
    isReady: async (port) => (await answer(port, '/')) === 403,
  });
  return s3Server('versitygw', server, keys, objects);
}

async function answer(port: number, path: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`, {signal: AbortSignal.timeout(1000)})).status;
}

function s3Server(name: S3Server['name'], server: ServerProcess, keys: Keys, objects: string): S3Server {
  const endpoint = `http://127.0.0.1:${server.port}`;
  const region = 'us-east-1';
  const client = new S3Client({endpoint, region, forcePathStyle: true, credentials: keys});
  let buckets = 0;
  return {
    ...server,
    name,
    endpoint,
    region,
    keys,
    client,
    objects,
    bucket: async ({objectLock = false} = {}) => {
      const bucket = `bucket-${++buckets}`;
      await client.send(new CreateBucketCommand({Bucket: bucket, ObjectLockEnabledForBucket: objectLock}));
      return bucket;
    },
    stop: async () => {
      client.destroy();
      await server.stop();
    },
  };
}
