import type {IncomingMessage} from 'node:http';
import {crc32} from 'node:zlib';
import type {GetObjectCommandInput, GetObjectCommandOutput} from '@aws-sdk/client-s3';
import {BkpError} from '../../errors/index.ts';
import {objectMissing, objectUnreadable, rangeWithin} from '../object-errors.ts';
import type {ByteRange, Key} from '../store.ts';
import type {Attempt} from './connection/attempt.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {UnexpectedResponse} from './connection/failure.ts';
import type {Feature} from './connection/features.ts';
import type {Try} from './connection/retry.ts';
import {isReadableBut} from './unreadable.ts';

/**
 * Fewer bytes in one try are no progress: a connection that breaks after a few bytes is given up like one that
 * breaks immediately.
 */
const progressBytes = 64 * 1024;

/** The bytes read so far, over all tries of one call. */
type Reading = {
  bytes: Buffer;
  filledBytes: number;
  /** The object that the first bytes came from; later bytes must come from the same. */
  etag: string | undefined;
  /** Base64, of the whole object; undefined if the server stores none. */
  crc32: string | undefined;
};

export type GetPlace = {
  /** Its name in the bucket. */
  pathOf: (key: Key) => string;
  rootPrefix: string;
  /** Objects that the server did not return before, although it returned others: they are not waited for again. */
  unreadable: Set<Key>;
};

/**
 * Reads an object, or a range of it that is not empty.
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_UNAVAILABLE` | `STORE_DENIED`
 */
export async function getObject(
  connection: S3Connection,
  key: Key,
  place: GetPlace,
  range?: ByteRange,
): Promise<Uint8Array> {
  const {pathOf, rootPrefix, unreadable} = place;
  const read = (wanted: Key, part: ByteRange | undefined, patienceMs?: number) =>
    readObject(connection, {key: wanted, path: pathOf(wanted), range: part, patienceMs});
  try {
    const bytes = await read(key, range, unreadable.has(key) ? 0 : undefined);
    unreadable.delete(key);
    return bytes;
  } catch (error) {
    if (!(error instanceof NotReturned)) throw error;
    const readFirst = (other: Key) => read(other, {start: 0, end: 1}, 0);
    if (!(await isReadableBut(key, {connection, rootPrefix}, readFirst))) throw error.reason;
  }
  // The server may have been away until now.
  try {
    return await read(key, range, 0);
  } catch (error) {
    if (!(error instanceof NotReturned)) throw error;
    unreadable.add(key);
    throw objectUnreadable(key, {cause: error.reason, check: `the server of ${connection.description}`});
  }
}

/**
 * Reads a whole object.
 * @throws BkpError as {@link getObject}, but one that the server does not return is not called damaged
 */
export async function getWithoutVerdict(connection: S3Connection, key: Key, path: string): Promise<Uint8Array> {
  try {
    return await readObject(connection, {key, path, range: undefined});
  } catch (error) {
    throw error instanceof NotReturned ? error.reason : error;
  }
}

/** The server responded, and did not return the object. */
class NotReturned extends Error {
  readonly reason: BkpError;

  constructor(reason: BkpError) {
    super(reason.message);
    this.reason = reason;
  }
}

async function readObject(
  connection: S3Connection,
  {
    key,
    path,
    range,
    patienceMs,
  }: {key: Key; path: string; range: ByteRange | undefined; patienceMs?: number | undefined},
): Promise<Uint8Array> {
  const what = {call: 'GetObject', doing: `read ${key}`, patienceMs};
  const reader = new Reader(connection, key, path, range);
  try {
    return await connection.callWith(
      what,
      ['ranges', 'ifMatch', 'checksums'],
      (uses, attempt, current) => reader.readOn(uses, attempt, current),
      ['missing', 'range', 'unexpected response', 'server', 'connection'],
    );
  } catch (error) {
    if (!(error instanceof ExpectedFailure)) throw error;
    const {failure} = error;
    if (failure.kind === 'missing') throw objectMissing(key, connection.description);
    if (failure.kind === 'range') throw damaged(key, `it ends before byte ${range?.start ?? 0}`);
    if (reader.damage !== undefined) throw damaged(key, reader.damage);
    const reason = connection.error(failure, what);
    if (failure.kind === 'server' || (failure.kind === 'connection' && reader.hasBegun)) throw new NotReturned(reason);
    throw reason;
  }
}

const damaged = (key: Key, cause: string) =>
  new BkpError('OBJECT_DAMAGED', `${key} is damaged`, {cause, context: {key}});

/**
 * Reads one object with as many requests as needed. After an interruption it requests the rest of the body, and
 * only of the same object: bytes of two objects are never joined.
 */
class Reader {
  /** How the received bytes differ from those that were stored; undefined = no difference is known. */
  damage: string | undefined;
  /** The last try received the beginning of a response with the object. */
  hasBegun = false;
  #reading: Reading | undefined;
  /** As far as any try has come, also one whose bytes could not be continued. */
  #furthestBytes = 0;
  readonly #connection: S3Connection;
  readonly #key: Key;
  readonly #path: string;
  readonly #range: ByteRange | undefined;

  constructor(connection: S3Connection, key: Key, path: string, range: ByteRange | undefined) {
    this.#connection = connection;
    this.#key = key;
    this.#path = path;
    this.#range = range;
  }

  async readOn(uses: (feature: Feature) => boolean, attempt: Attempt, current: Try): Promise<Uint8Array> {
    this.damage = undefined;
    this.hasBegun = false;
    const filledBefore = this.#reading?.filledBytes ?? 0;
    const from = (this.#range?.start ?? 0) + filledBefore;
    try {
      const output = await this.#connection.client.send(this.#command(from, uses), by(attempt));
      const body = output.Body as unknown as IncomingMessage;
      this.hasBegun = true;
      try {
        // An aborted try must not write to the buffer: the next one continues after the filled part.
        attempt.signal.throwIfAborted();
        await this.#fill(this.#begin(output, from), body, attempt);
      } catch (error) {
        body.destroy();
        throw error;
      }
    } catch (error) {
      const filled = this.#reading?.filledBytes ?? 0;
      // Otherwise a body that breaks each time, and cannot be continued, would be begun again for ever.
      if (filled - Math.max(filledBefore, this.#furthestBytes) >= progressBytes) current.progressed();
      this.#furthestBytes = Math.max(this.#furthestBytes, filled);
      if (filledBefore > 0 && isChanged(error)) {
        this.#reading = undefined;
        throw new UnexpectedResponse('it was overwritten while it was read');
      }
      throw error;
    }
    const {bytes, crc32: stored} = this.#reading!;
    // The caller checks ranges, because it knows their hashes.
    if (this.#range === undefined && stored !== undefined && crc32Base64(bytes) !== stored) {
      this.#reading = undefined;
      this.damage = `its CRC32 is ${crc32Base64(bytes)}, but ${stored} was stored with it`;
      throw new UnexpectedResponse(this.damage);
    }
    return bytes;
  }

  #command(from: number, uses: (feature: Feature) => boolean) {
    const input: GetObjectCommandInput = {Bucket: this.#connection.bucket, Key: this.#path};
    if (uses('ranges')) {
      if (this.#range !== undefined) input.Range = `bytes=${from}-${this.#range.end - 1}`;
      else if (from > 0) input.Range = `bytes=${from}-`;
    }
    const etag = this.#reading?.etag;
    // A weak one, as behind some proxies, never matches; it is compared when the response arrives.
    if (uses('ifMatch') && etag !== undefined && !etag.startsWith('W/')) input.IfMatch = etag;
    const command = new this.#connection.sdk.GetObjectCommand(input);
    if (this.#range !== undefined || !uses('checksums')) return command;
    // Set without the SDK's option, because the SDK would then check each body by itself, also one that is only the
    // rest.
    command.middlewareStack.add(
      (next) => (args) => {
        (args.request as {headers: Record<string, string>}).headers['x-amz-checksum-mode'] = 'ENABLED';
        return next(args);
      },
      {step: 'build', name: 'askForChecksum'},
    );
    return command;
  }

  /** @returns the number of bytes in the body before the wanted ones */
  #begin(output: GetObjectCommandOutput, from: number): number {
    const lengthBytes = output.ContentLength;
    if (lengthBytes === undefined || output.ETag === undefined) {
      throw new UnexpectedResponse('the response has no length or no ETag: a proxy or a login page may have sent it');
    }
    if (this.#reading !== undefined && this.#reading.etag !== output.ETag) {
      this.#reading = undefined;
      throw new UnexpectedResponse('it was overwritten while it was read');
    }
    // A server without ranged reads sends the whole object.
    const [start, total] = contentRange(output.ContentRange) ?? [0, lengthBytes];
    const range = rangeWithin(this.#key, total, this.#range);
    this.#reading ??= {
      bytes: Buffer.allocUnsafeSlow(range.end - range.start),
      filledBytes: 0,
      etag: output.ETag,
      // For an object that was written in parts it is a checksum of checksums: `…-3`.
      crc32: output.ChecksumCRC32?.includes('-') ? undefined : output.ChecksumCRC32,
    };
    if (start > from || start + lengthBytes < range.end) {
      throw new UnexpectedResponse(
        `bytes ${start} to ${start + lengthBytes} arrived, but those from ${from} on were requested`,
      );
    }
    return from - start;
  }

  async #fill(skipBytes: number, body: AsyncIterable<Uint8Array>, attempt: Attempt): Promise<void> {
    const reading = this.#reading!;
    const {bytes} = reading;
    attempt.expect(skipBytes + bytes.length - reading.filledBytes);
    let skip = skipBytes;
    for await (const piece of body) {
      await this.#connection.received(piece.length, attempt);
      attempt.signal.throwIfAborted();
      const wanted = piece.subarray(Math.min(skip, piece.length), skip + bytes.length - reading.filledBytes);
      skip = Math.max(0, skip - piece.length);
      bytes.set(wanted, reading.filledBytes);
      reading.filledBytes += wanted.length;
      if (reading.filledBytes === bytes.length && wanted.length < piece.length) break;
    }
    if (reading.filledBytes < bytes.length) {
      throw Object.assign(new Error('the body ended early'), {code: 'ECONNRESET'});
    }
  }
}

/** @returns the first byte, and the size of the whole object */
export function contentRange(header: string | undefined): [start: number, totalBytes: number] | undefined {
  const parts = /^bytes (\d+)-\d+\/(\d+)$/.exec(header ?? '');
  return parts === null ? undefined : [Number(parts[1]), Number(parts[2])];
}

/** The format of `x-amz-checksum-crc32`: big-endian, base64. */
export function crc32Base64(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}

/** The response to `If-Match` after the object was overwritten or removed. */
const isChanged = (error: unknown) =>
  [404, 412].includes((error as {$metadata?: {httpStatusCode?: number}}).$metadata?.httpStatusCode ?? 0);
