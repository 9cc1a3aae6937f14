import {type LifecycleRule, PutBucketLifecycleConfigurationCommand} from '@aws-sdk/client-s3';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {openDesk} from '../helpers/desk.ts';
import {storeText} from './open.ts';
import {type S3Server, startMinio} from './s3-server.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startMinio();
});
afterAll(() => server?.stop());

const rule = (more: Partial<LifecycleRule>): LifecycleRule => ({
  ID: 'tidy',
  Status: 'Enabled',
  Filter: {Prefix: ''},
  Expiration: {Days: 30},
  ...more,
});

const cases: Record<string, [LifecycleRule, boolean]> = {
  'removes everything': [rule({}), true],
  'removes everything under the store': [rule({Filter: {Prefix: 'shop/'}}), true],
  'removes packs of the store': [rule({Filter: {Prefix: 'shop/packs/'}}), true],
  'removes objects at a date': [rule({Expiration: {Date: new Date('2030-01-01T00:00:00Z')}}), true],
  'is disabled': [rule({Status: 'Disabled'}), false],
  'concerns another place': [rule({Filter: {Prefix: 'shopping/'}}), false],
  'concerns objects with a tag': [rule({Filter: {Tag: {Key: 'a', Value: 'b'}}}), false],
  'removes noncurrent versions': [
    rule({Expiration: undefined, NoncurrentVersionExpiration: {NoncurrentDays: 7}}),
    false,
  ],
};

test.each(Object.entries(cases))('store check knows whether a rule harms backups that %s', async (_, [one, harms]) => {
  const bucket = await server.bucket();
  const configuration = {Bucket: bucket, LifecycleConfiguration: {Rules: [one]}};
  await server.client.send(new PutBucketLifecycleConfigurationCommand(configuration));
  const desk = openDesk(undefined, {BKP_STORE: storeText(server, bucket, {root: 'shop'})});
  const {status, stdout, stderr} = await desk.bkp('store', 'check');
  expect(status, `${stdout}${stderr}`).toBe(harms ? 1 : 0);
  if (harms) expect(stdout + stderr).toMatch(/rule tidy removes objects (after 30 days|on 2030-01-01)/u);
  else expect(stdout).toContain('no rule removes or archives objects of backups');
});
