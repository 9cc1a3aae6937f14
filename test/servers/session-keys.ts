import {createHash, createHmac} from 'node:crypto';
import type {Keys, S3Server} from './s3-server.ts';

/** The permissions that a backup and a restore need, without those that could harm existing objects. */
export const appendOnly = ['s3:PutObject', 's3:GetObject', 's3:ListBucket'];

/**
 * Temporary keys of MinIO's owner with only these permissions, in every bucket. The creation of users in MinIO
 * needs requests in its own encrypted format; STS with a session policy needs only a signature.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
export async function sessionKeys(minio: S3Server, actions: readonly string[]): Promise<Required<Keys>> {
  const policy = {
    Version: '2012-10-17',
    Statement: [{Effect: 'Allow', Action: actions, Resource: ['arn:aws:s3:::*']}],
  };
  const body = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    DurationSeconds: '3600',
    Policy: JSON.stringify(policy),
  }).toString();
  const reply = await fetch(minio.endpoint, {method: 'POST', body, headers: signed(minio, body)});
  const text = await reply.text();
  const part = (name: string) => {
    const value = new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)?.[1];
    if (value === undefined) throw new Error(`no ${name} from AssumeRole: ${reply.status} ${text}`);
    return value;
  };
  return {
    accessKeyId: part('AccessKeyId'),
    secretAccessKey: part('SecretAccessKey'),
    sessionToken: part('SessionToken'),
  };
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const mac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** Signature version 4 of one POST to `/`. */
function signed({endpoint, region, keys}: S3Server, body: string): Record<string, string> {
  const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = [at.slice(0, 8), region, 'sts', 'aws4_request'];
  const names = 'host;x-amz-date';
  const request = ['POST', '/', '', `host:${new URL(endpoint).host}`, `x-amz-date:${at}`, '', names, hash(body)];
  const toSign = ['AWS4-HMAC-SHA256', at, scope.join('/'), hash(request.join('\n'))].join('\n');
  const key = scope.reduce<string | Buffer>(mac, `AWS4${keys.secretAccessKey}`);
  const credential = `Credential=${keys.accessKeyId}/${scope.join('/')}`;
  return {
    'content-type': 'application/x-www-form-urlencoded',
    'x-amz-date': at,
    authorization:
      `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, ` + `Signature=${mac(key, toSign).toString('hex')}`,
  };
}
