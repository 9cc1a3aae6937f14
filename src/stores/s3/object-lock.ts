import {forEachConcurrent} from '../../lib/async.ts';
import type {Key, RetainedObject} from '../store.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {lockMode, lockMs, lockUntil} from './put.ts';

/** A legal hold has no end: the latest time of a Date. */
const foreverMs = 8.64e15;

/**
 * The end of the object's lock.
 *
 * AWS returns it only to keys with s3:GetObjectRetention. Without that permission it is unknown, which does no
 * harm: a delete then only hides the object, and its locked version stays.
 * @returns 0 if the object is not locked, undefined if there is no such object
 */
export async function retainedUntilMs(connection: S3Connection, key: Key, path: string): Promise<number | undefined> {
  try {
    const output = await connection.call(
      {call: 'HeadObject', doing: `read the lock of ${key}`},
      (attempt) =>
        connection.client.send(
          new connection.sdk.HeadObjectCommand({Bucket: connection.bucket, Key: path}),
          by(attempt),
        ),
      ['missing', 'not found'],
    );
    if (output.ObjectLockLegalHoldStatus === 'ON') return foreverMs;
    return output.ObjectLockRetainUntilDate?.getTime() ?? 0;
  } catch (error) {
    if (error instanceof ExpectedFailure) return undefined;
    throw error;
  }
}

/** False also if the access key may not read the setting, or the server lacks object lock. */
export async function hasObjectLock(connection: S3Connection): Promise<boolean> {
  try {
    const output = await connection.call(
      {call: 'GetObjectLockConfiguration', doing: 'check whether it has object lock'},
      (attempt) =>
        connection.client.send(
          new connection.sdk.GetObjectLockConfigurationCommand({Bucket: connection.bucket}),
          by(attempt),
        ),
      ['not found', 'denied', 'refused', 'no lock', 'retained', 'server', 'not supported'],
    );
    return output.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
  } catch (error) {
    if (error instanceof ExpectedFailure) return false;
    throw error;
  }
}

/** The objects that are locked now. */
export async function retainedAmong(
  connection: S3Connection,
  keys: readonly Key[],
  pathOf: (key: Key) => string,
): Promise<RetainedObject[]> {
  const retained: RetainedObject[] = [];
  await forEachConcurrent(keys, connection.requestsAtOnce, async (key) => {
    const untilMs = await retainedUntilMs(connection, key, pathOf(key));
    if (untilMs !== undefined && untilMs > connection.clock.wallMs()) retained.push({key, untilMs});
  });
  return retained;
}

/**
 * Extends the locks of the objects to at least `days` from now.
 * @throws the error of `missing` for an object that does not exist
 */
export async function extendLocks(
  connection: S3Connection,
  keys: readonly Key[],
  options: {days: number; pathOf: (key: Key) => string; missing: (key: Key) => Error},
): Promise<void> {
  const {days, pathOf, missing} = options;
  await forEachConcurrent(keys, connection.requestsAtOnce, async (key) => {
    const untilMs = await retainedUntilMs(connection, key, pathOf(key));
    if (untilMs === undefined) throw missing(key);
    if (untilMs >= connection.clock.wallMs() + lockMs(days)) return;
    await connection.call({call: 'PutObjectRetention', doing: `keep ${key} for longer`}, (attempt) =>
      connection.client.send(
        new connection.sdk.PutObjectRetentionCommand({
          Bucket: connection.bucket,
          Key: pathOf(key),
          Retention: {Mode: lockMode, RetainUntilDate: lockUntil(days, connection.clock.wallMs())},
        }),
        by(attempt),
      ),
    );
  });
}
