import type {DeleteObjectsCommandOutput} from '@aws-sdk/client-s3';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Key, RetainedObject} from '../store.ts';
import type {Attempt} from './connection/attempt.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {type Failure, failureOf} from './connection/failure.ts';
import {hasObjectLock, retainedAmong} from './object-lock.ts';

/** S3's limit for one request. */
const batchKeys = 1000;

/**
 * Removes objects, except those that are locked.
 *
 * A bucket with object lock keeps versions, and there a delete without a version id always succeeds: it hides the
 * object behind a marker, locked or not. So there bkp checks the locks first. In other buckets it sends no
 * additional request.
 */
export class S3Remover {
  readonly #connection: S3Connection;
  readonly #pathOf: (key: Key) => string;
  #locks: Promise<boolean> | undefined;

  /** @param lockUsed bkp locks objects itself, so the bucket has object lock */
  constructor(connection: S3Connection, pathOf: (key: Key) => string, lockUsed: boolean) {
    this.#connection = connection;
    this.#pathOf = pathOf;
    if (lockUsed) this.#locks = Promise.resolve(true);
  }

  async remove(keys: readonly Key[]): Promise<readonly RetainedObject[]> {
    if (keys.length === 0) return [];
    const locks = await this.#hasLocks();
    const retained = locks ? await retainedAmong(this.#connection, keys, this.#pathOf) : [];
    const staying = new Set(retained.map(({key}) => key));
    const going = keys.filter((key) => !staying.has(key));
    for (let at = 0; at < going.length; at += batchKeys) {
      retained.push(...(await this.#removeBatch(going.slice(at, at + batchKeys))));
    }
    return retained.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** Asks the server once, and not at all if a response to a write has shown it; asks again after an error. */
  async #hasLocks(): Promise<boolean> {
    if (this.#locks === undefined && this.#connection.keepsVersions === false) return false;
    this.#locks ??= hasObjectLock(this.#connection);
    try {
      return await this.#locks;
    } catch (error) {
      this.#locks = undefined;
      throw error;
    }
  }

  /** @returns objects that the server refused to remove because of a lock that it had not reported before */
  async #removeBatch(keys: readonly Key[]): Promise<RetainedObject[]> {
    const refused = this.#connection.has('multiDelete')
      ? await this.#removeTogether(keys)
      : await this.#removeEach(keys);
    if (refused.size === 0) return [];
    const retained = await retainedAmong(this.#connection, [...refused.keys()], this.#pathOf);
    for (const {key} of retained) refused.delete(key);
    for (const {error} of refused.values()) throw error;
    return retained;
  }

  /** @returns the objects that the server refused to remove, with its errors */
  async #removeTogether(keys: readonly Key[]): Promise<Map<Key, {error: Error}>> {
    const connection = this.#connection;
    const what = {
      call: 'DeleteObjects',
      doing: keys.length === 1 ? `remove ${keys[0]}` : `remove ${keys.length} objects`,
    };
    let left = keys;
    const refused = new Map<Key, {error: Error}>();
    const send = async (attempt: Attempt) => {
      const command = new connection.sdk.DeleteObjectsCommand({
        Bucket: connection.bucket,
        Delete: {Quiet: true, Objects: left.map((key) => ({Key: this.#pathOf(key)}))},
      });
      const errors = itemErrors(await connection.client.send(command, by(attempt)), left, this.#pathOf);
      const again = errors.filter((item) => item.passing);
      for (const {key, error, passing} of errors) {
        if (!passing) refused.set(key, {error: this.#errorOf(key, failureOf(error))});
      }
      if (again.length === 0) return;
      left = again.map(({key}) => key);
      throw again[0]!.error;
    };
    try {
      // A response that does not fit this call comes from a server that lacks it: remove each object with its own
      // request.
      await connection.call(what, send, ['not supported', 'refused', 'unexpected response']);
    } catch (error) {
      if (!(error instanceof ExpectedFailure)) throw error;
      const one = await this.#removeEach(left);
      connection.lack('multiDelete');
      for (const [key, why] of one) refused.set(key, why);
    }
    return refused;
  }

  async #removeEach(keys: readonly Key[]): Promise<Map<Key, {error: Error}>> {
    const connection = this.#connection;
    const refused = new Map<Key, {error: Error}>();
    await forEachConcurrent(keys, connection.requestsAtOnce, async (key) => {
      const input = {Bucket: connection.bucket, Key: this.#pathOf(key)};
      try {
        await connection.call(
          {call: 'DeleteObject', doing: `remove ${key}`},
          (attempt) => connection.client.send(new connection.sdk.DeleteObjectCommand(input), by(attempt)),
          ['missing', 'not found', 'denied', 'retained'],
        );
      } catch (error) {
        if (!(error instanceof ExpectedFailure)) throw error;
        const {failure} = error;
        if (failure.kind === 'denied' || failure.kind === 'retained') {
          refused.set(key, {error: this.#errorOf(key, failure)});
        }
      }
    });
    return refused;
  }

  #errorOf(key: Key, failure: Failure): Error {
    return this.#connection.error(failure, {call: 'DeleteObjects', doing: `remove ${key}`});
  }
}

type ItemError = {key: Key; error: Error; passing: boolean};

/** Errors of single objects in one response, in the form that their own requests would have thrown. */
function itemErrors(
  output: DeleteObjectsCommandOutput,
  keys: readonly Key[],
  pathOf: (key: Key) => string,
): ItemError[] {
  const keyOf = new Map(keys.map((key) => [pathOf(key), key]));
  const errors: ItemError[] = [];
  for (const {Key: path = '', Code: code = 'Error', Message: message = ''} of output.Errors ?? []) {
    const key = keyOf.get(path);
    // Some servers report an absent object as an error.
    if (key === undefined || code === 'NoSuchKey') continue;
    const error = Object.assign(new Error(message), {name: code, $metadata: {httpStatusCode: statusOf(code)}});
    const {kind} = failureOf(error);
    errors.push({key, error, passing: kind === 'throttled' || kind === 'server' || kind === 'conflict'});
  }
  return errors;
}

/** The status of a response of S3 with this code. */
function statusOf(code: string): number {
  if (/^(InternalError|SlowDown|ServiceUnavailable)/.test(code)) return code === 'InternalError' ? 500 : 503;
  return /Denied|Locked/.test(code) ? 403 : 400;
}
