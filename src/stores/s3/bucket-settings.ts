import type {LifecycleRule} from '@aws-sdk/client-s3';
import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import type {ProbePoint} from '../probe-point.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {rightNeeded} from './connection/errors.ts';
import type {S3StoreOptions} from './options.ts';

/** What the settings of a bucket do to objects: keep versions, lock, remove or archive them. */
export async function bucketSettings(
  connection: S3Connection,
  options: S3StoreOptions,
): Promise<readonly ProbePoint[]> {
  return [
    await versioning(connection),
    await objectLock(connection, options.lockDays),
    await lifecycle(connection, options),
    await encryption(connection, options),
  ];
}

async function encryption(connection: S3Connection, options: S3StoreOptions): Promise<ProbePoint> {
  const what = 'encryption at rest';
  const algorithm = await encryptionAtRest(connection);
  if (algorithm.isOn) return {what, ok: true, detail: `on: ${algorithm.detail}`};
  if (algorithm.isOn === undefined) return {what, ok: true, detail: algorithm.detail};
  return {
    what,
    ok: true,
    detail: `off: only an encrypted vault is unreadable on its disks; ${turnOn(options)} changes it`,
  };
}

/** The command that lets a bucket encrypt what is put into it from then on. */
export function turnOn({bucket, endpoint}: Pick<S3StoreOptions, 'bucket' | 'endpoint'>): string {
  const where = endpoint === undefined ? '' : ` --endpoint-url ${endpoint}`;
  const rule = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}';
  return (
    `aws s3api put-bucket-encryption --bucket ${bucket}${where} ` + `--server-side-encryption-configuration '${rule}'`
  );
}

/** `isOn` is undefined if the server does not say. */
export async function encryptionAtRest(connection: S3Connection): Promise<{isOn?: boolean; detail: string}> {
  const reply = await ask(connection, 'GetBucketEncryption', (attempt) =>
    connection.client.send(new connection.sdk.GetBucketEncryptionCommand({Bucket: connection.bucket}), by(attempt)),
  );
  if (typeof reply === 'string') return {detail: reply, ...(reply === 'off' ? {isOn: false} : {})};
  const [rule] = reply.ServerSideEncryptionConfiguration?.Rules ?? [];
  const algorithm = rule?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm;
  return algorithm === undefined ? {isOn: false, detail: 'off'} : {isOn: true, detail: algorithm};
}

async function versioning(connection: S3Connection): Promise<ProbePoint> {
  const what = 'versioning';
  const call = 'GetBucketVersioning';
  const reply = await ask(connection, call, (attempt) =>
    connection.client.send(new connection.sdk.GetBucketVersioningCommand({Bucket: connection.bucket}), by(attempt)),
  );
  if (typeof reply === 'string') return {what, ok: true, detail: reply};
  switch (reply.Status) {
    case 'Enabled':
      return {
        what,
        ok: true,
        detail: 'on: removed objects take up space until a lifecycle rule expires noncurrent versions',
      };
    case 'Suspended':
      return {what, ok: true, detail: 'suspended: older versions may still take up space'};
    default:
      return {what, ok: true, detail: 'off: removed objects are deleted for good'};
  }
}

async function objectLock(connection: S3Connection, lockDays: number | undefined): Promise<ProbePoint> {
  const what = 'object lock';
  const call = 'GetObjectLockConfiguration';
  const reply = await ask(connection, call, (attempt) =>
    connection.client.send(
      new connection.sdk.GetObjectLockConfigurationCommand({Bucket: connection.bucket}),
      by(attempt),
    ),
  );
  const lock = typeof reply === 'string' ? undefined : reply.ObjectLockConfiguration;
  if (lock?.ObjectLockEnabled === 'Enabled') {
    const rule = lock.Rule?.DefaultRetention;
    if (rule === undefined) return {what, ok: true, detail: 'on: backup.object.store.lock=30d can be used'};
    const time = rule.Days === undefined ? `${rule.Years} years` : `${rule.Days} days`;
    return {what, ok: true, detail: `on, and every object is kept ${time} by default (${rule.Mode})`};
  }
  const detail = typeof reply === 'string' ? reply : 'off';
  if (lockDays === undefined) return {what, ok: true, detail};
  return {
    what,
    ok: false,
    detail: `backup.object.store.lock is set; ${detail}`,
    next: 'create a bucket with object lock, or unset backup.object.store.lock',
  };
}

/** From these, objects cannot be read before they are restored. */
const archives = ['GLACIER', 'DEEP_ARCHIVE'];

/** A rule that removes what backups need is found long before the first restore that fails. */
async function lifecycle(connection: S3Connection, {root, endpoint}: S3StoreOptions): Promise<ProbePoint> {
  const what = 'lifecycle';
  const {bucket} = connection;
  const reply = await ask(connection, 'GetBucketLifecycleConfiguration', (attempt) =>
    connection.client.send(new connection.sdk.GetBucketLifecycleConfigurationCommand({Bucket: bucket}), by(attempt)),
  );
  if (typeof reply === 'string') return {what, ok: true, detail: reply === 'off' ? 'no rules' : reply};
  const harmful = (reply.Rules ?? []).flatMap((rule) => {
    const harm = harmOf(rule);
    return harm !== undefined && concerns(rule, root) ? [`rule ${rule.ID ?? 'without a name'} ${harm}`] : [];
  });
  if (harmful.length === 0) return {what, ok: true, detail: 'no rule removes or archives objects of backups'};
  const where = endpoint === undefined ? '' : ` --endpoint-url ${endpoint}`;
  return {
    what,
    ok: false,
    detail: `${harmful.join('; ')}: backups that need them cannot be restored then`,
    next:
      `print the rules with aws s3api get-bucket-lifecycle-configuration --bucket ${bucket}${where}, and let them ` +
      'concern noncurrent versions only; KEEP_LAST and its like remove backups that nobody needs',
  };
}

/** In words; undefined if current objects stay as they are. */
function harmOf({Status, Expiration, Transitions = []}: LifecycleRule): string | undefined {
  if (Status !== 'Enabled') return undefined;
  if (Expiration?.Days !== undefined) return `removes objects after ${formatCount(Expiration.Days, 'day')}`;
  if (Expiration?.Date !== undefined) return `removes objects on ${Expiration.Date.toISOString().slice(0, 10)}`;
  const archive = Transitions.find(({StorageClass = ''}) => archives.includes(StorageClass));
  if (archive === undefined) return undefined;
  return `moves objects to ${archive.StorageClass} after ${formatCount(archive.Days ?? 0, 'day')}`;
}

/** Whether the rule is about objects under the root; bkp's objects have no tags. */
function concerns({Filter, Prefix}: LifecycleRule, root: string): boolean {
  if (Filter?.Tag !== undefined || (Filter?.And?.Tags ?? []).length > 0) return false;
  const prefix = Filter?.Prefix ?? Filter?.And?.Prefix ?? Prefix ?? '';
  const own = root === '' ? '' : `${root}/`;
  return prefix.startsWith(own) || own.startsWith(prefix);
}

/** @returns the reply, or in words why there is none; neither is a fault */
async function ask<T>(
  connection: S3Connection,
  call: string,
  once: (attempt: Parameters<typeof by>[0]) => Promise<T>,
): Promise<T | string> {
  try {
    return await connection.call({call, doing: 'be asked'}, once, [
      'not found',
      'denied',
      'refused',
      'retained',
      'no lock',
      'server',
      'not supported',
    ]);
  } catch (error) {
    if (error instanceof BkpError) return error.message;
    if (!(error instanceof ExpectedFailure)) throw error;
    if (error.failure.kind === 'denied') return `unknown: this key has no ${rightNeeded(call)}`;
    return error.failure.status === 404 ? 'off' : 'not supported by this server';
  }
}
