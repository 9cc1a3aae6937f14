import type {PutObjectCommandInput} from '@aws-sdk/client-s3';
import type {Key} from '../store.ts';
import type {Attempt} from './connection/attempt.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {UnexpectedResponse} from './connection/failure.ts';
import {crc32Base64, getWithoutVerdict} from './get.ts';

const dayMs = 24 * 60 * 60 * 1000;

/**
 * Locks are longer than requested by this factor, so that a backup that uses an object again within the first third
 * of its lock need not extend it.
 */
const lockReserve = 1.5;

/** The end of the lock of an object that is written now; S3 keeps whole seconds. */
export const lockUntil = (days: number, wallMs: number) =>
  new Date(Math.ceil((wallMs + days * lockReserve * dayMs) / 1000) * 1000);

export const lockMs = (days: number) => days * dayMs;

/**
 * COMPLIANCE rather than GOVERNANCE, which the bucket's administrator key can lift: the lock is meant to stop an
 * attacker who has that key. Not even the owner can shorten it, so a lock that is too long costs storage until its
 * end.
 */
export const lockMode = 'COMPLIANCE';

export type PutRequest = {
  key: Key;
  path: string;
  body: Uint8Array;
  ifAbsent: boolean;
  /** Undefined = not locked. */
  lockDays?: number | undefined;
  /** See {@link PutOptions}. */
  onRepeated?: (() => void) | undefined;
};

/** @returns `exists` only with `ifAbsent`; the object is then another writer's, and unchanged */
export async function putObject(connection: S3Connection, request: PutRequest): Promise<'written' | 'exists'> {
  const {key, path, body, ifAbsent, lockDays, onRepeated} = request;
  const checksum = crc32Base64(body);
  const input: PutObjectCommandInput = {Bucket: connection.bucket, Key: path, Body: body};
  if (lockDays !== undefined) {
    input.ObjectLockMode = lockMode;
    input.ObjectLockRetainUntilDate = lockUntil(lockDays, connection.clock.wallMs());
  }
  const what = {call: 'PutObject', doing: `write ${key}`};
  const attempts: Attempt[] = [];
  const unanswered = () => attempts.slice(0, -1).filter(({mayHaveArrived}) => mayHaveArrived).length;
  try {
    await connection.callWith(
      what,
      ifAbsent ? ['conditions', 'checksums'] : ['checksums'],
      async (uses, attempt) => {
        attempts.push(attempt);
        const command = new connection.sdk.PutObjectCommand({
          ...input,
          ...(uses('conditions') ? {IfNoneMatch: '*'} : {}),
          ...(uses('checksums') ? {ChecksumCRC32: checksum} : {}),
        });
        const client = uses('checksums') ? connection.client : connection.plainClient;
        const output = await client.send(command, by(attempt));
        if (output.ETag === undefined) {
          throw new UnexpectedResponse('the response has no ETag: a proxy or a login page may have sent it');
        }
        connection.keepsVersions = output.VersionId !== undefined;
        if (output.ChecksumCRC32 !== undefined && output.ChecksumCRC32 !== checksum) {
          throw new UnexpectedResponse(
            `the server stored bytes with CRC32 ${output.ChecksumCRC32} instead of ${checksum}`,
          );
        }
      },
      [...(ifAbsent ? ['exists' as const] : []), ...(lockDays === undefined ? [] : ['not supported' as const])],
    );
    if (unanswered() > 0) onRepeated?.();
    return 'written';
  } catch (error) {
    if (!(error instanceof ExpectedFailure)) throw error;
    // A lock that the user asked for is not optional.
    if (error.failure.kind === 'not supported') throw connection.error({...error.failure, kind: 'no lock'}, what);
    // The existing object may be ours: written by a try whose response was lost.
    const isOurs = unanswered() > 0 && (await holds(connection, request));
    // If it is ours, one of them has arrived.
    if (unanswered() > (isOurs ? 1 : 0)) onRepeated?.();
    return isOurs ? 'written' : 'exists';
  }
}

/**
 * Compares every byte: this is rare, and a lease that two processes believe to hold would be worse than any
 * traffic.
 */
async function holds(connection: S3Connection, {key, path, body}: PutRequest): Promise<boolean> {
  return Buffer.from(body).equals(await getWithoutVerdict(connection, key, path));
}
