import type {DeleteObjectsCommandOutput} from '@aws-sdk/client-s3';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Key, RetainedObject} from '../store.ts';
import type {Attempt} from './connection/attempt.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {type Failure, failureOf} from './connection/failure.ts';
import {hasObjectLock, retainedAmong} from './object-lock.ts';

/** The most that S3 takes in one request. */
const batchKeys = 1000;

/**
 * Removes objects, and leaves those alone that are under retention.
 *
 * A bucket with object lock keeps versions, and there a delete without a version's id always succeeds: it hides the object
 * behind a marker, locked or not. So there we look first. Elsewhere nothing is asked.
 */
export class S3Remover {
  readonly #connection: S3Connection;
  readonly #pathOf: (key: Key) => string;
  #locks: Promise<boolean> | undefined;

  /** @param lockUsed we lock objects ourselves, so the bucket need not be asked */
  constructor(connection: S3Connection, pathOf: (key: Key) => string, lockUsed: boolean) {
    this.#connection = connection;
    this.#pathOf = pathOf;
    if (lockUsed) this.#locks = Promise.resolve(true);
  }

  async remove(keys: readonly Key[]): Promise<readonly RetainedObject[]> {
    if (keys.length === 0) return [];
    const locks = await this.#asked();
    const retained = locks ? await retainedAmong(this.#connection, keys, this.#pathOf) : [];
    const staying = new Set(retained.map(({key}) => key));
    const going = keys.filter((key) => !staying.has(key));
    for (let at = 0; at < going.length; at += batchKeys) {
      retained.push(...(await this.#removeBatch(going.slice(at, at + batchKeys))));
    }
    return retained.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** Once, and not at all when a write has told already; a question that failed is asked again. */
  async #asked(): Promise<boolean> {
    if (this.#locks === undefined && this.#connection.keepsVersions === false) return false;
    this.#locks ??= hasObjectLock(this.#connection);
    try {
      return await this.#locks;
    } catch (error) {
      this.#locks = undefined;
      throw error;
    }
  }

  /** @returns what the server would not remove because of a retention that it did not tell before */
  async #removeBatch(keys: readonly Key[]): Promise<RetainedObject[]> {
    const refused = this.#connection.has('multiDelete') ? await this.#removeAtOnce(keys) : await this.#removeEach(keys);
    if (refused.size === 0) return [];
    const retained = await retainedAmong(this.#connection, [...refused.keys()], this.#pathOf);
    for (const {key} of retained) refused.delete(key);
    for (const {error} of refused.values()) throw error;
    return retained;
  }

  /** @returns those that the server would not remove, and why */
  async #removeAtOnce(keys: readonly Key[]): Promise<Map<Key, {error: Error}>> {
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
      // What is no answer to this call is one of a server that does not have it: each alone does the same.
      await connection.call(what, send, ['not supported', 'refused', 'wrong answer']);
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

/** What one answer says of single objects, as the errors that a request of their own would have ended with. */
function itemErrors(
  output: DeleteObjectsCommandOutput,
  keys: readonly Key[],
  pathOf: (key: Key) => string,
): ItemError[] {
  const keyOf = new Map(keys.map((key) => [pathOf(key), key]));
  const errors: ItemError[] = [];
  for (const {Key: path = '', Code: code = 'Error', Message: message = ''} of output.Errors ?? []) {
    const key = keyOf.get(path);
    // Some servers count what is not there as an error.
    if (key === undefined || code === 'NoSuchKey') continue;
    const error = Object.assign(new Error(message), {name: code, $metadata: {httpStatusCode: statusOf(code)}});
    const {kind} = failureOf(error);
    errors.push({key, error, passing: kind === 'throttled' || kind === 'server' || kind === 'conflict'});
  }
  return errors;
}

/** The status that S3 gives these codes when they stand alone. */
function statusOf(code: string): number {
  if (/^(InternalError|SlowDown|ServiceUnavailable)/.test(code)) return code === 'InternalError' ? 500 : 503;
  return /Denied|Locked/.test(code) ? 403 : 400;
}
