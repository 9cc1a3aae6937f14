import {DeleteObjectsCommand, PutObjectCommand} from '@aws-sdk/client-s3';
import {afterAll, beforeAll} from 'vitest';
import {crashContract} from '../helpers/crash-contract.ts';
import {openDesk} from '../helpers/desk.ts';
import {inProcess} from '../helpers/in-process.ts';
import {openStore, storeText} from './open.ts';
import {type S3Server, startMinio} from './s3-server.ts';
import {objectsOf} from './secrets.ts';

let minio: S3Server;
beforeAll(async () => {
  minio = await startMinio();
});
afterAll(() => minio?.stop());

crashContract(async (schema) => {
  const bucket = await minio.bucket();
  const env = {BKP_STORE: storeText(minio, bucket)};
  const desk = openDesk(schema, env);
  const keysNow = async () => [...(await objectsOf(minio, bucket)).keys()];
  return {
    desk,
    storage: 's3',
    env,
    bench: inProcess({database: desk.database, openStore: () => openStore(minio, bucket)}),
    copy: {to: 'cluster', bench: inProcess(desk)},
    storedKeys: keysNow,
    keepStore: async () => {
      const kept = await objectsOf(minio, bucket);
      return async () => {
        const Objects = (await keysNow()).map((Key) => ({Key}));
        await minio.client.send(new DeleteObjectsCommand({Bucket: bucket, Delete: {Objects}}));
        for (const [Key, Body] of kept) await minio.client.send(new PutObjectCommand({Bucket: bucket, Key, Body}));
      };
    },
  };
});
