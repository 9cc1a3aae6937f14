import type {IncomingMessage} from 'node:http';
import {crc32} from 'node:zlib';
import type {GetObjectCommandInput, GetObjectCommandOutput} from '@aws-sdk/client-s3';
import {BkpError} from '../../errors/index.ts';
import {objectMissing, objectTooShort} from '../object-errors.ts';
import type {ByteRange, Key} from '../store.ts';
import type {Attempt} from './connection/attempt.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {WrongAnswer} from './connection/failure.ts';
import type {Feature} from './connection/features.ts';
import type {Try} from './connection/retry.ts';

/** Coming that far is progress; a line that breaks after every few bytes is given up like one that breaks at once. */
const progressBytes = 64 * 1024;

/** What was read so far, over all tries of one call. */
type Reading = {
  bytes: Buffer;
  filledBytes: number;
  /** Of the object that the first bytes are of: later ones must be of the same. */
  etag: string | undefined;
  /** Base64, of the whole object; undefined where the server has none. */
  crc32: string | undefined;
};

/**
 * The bytes of an object, or of a range of it that is not empty.
 * @param path where it lies in the bucket
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_UNAVAILABLE` | `STORE_DENIED`
 */
export async function getObject(
  connection: S3Connection,
  key: Key,
  path: string,
  range?: ByteRange,
): Promise<Uint8Array> {
  const what = {call: 'GetObject', doing: `read ${key}`};
  const reader = new Reader(connection, key, path, range);
  try {
    return await connection.callWith(
      what,
      ['ranges', 'ifMatch', 'checksums'],
      (uses, attempt, current) => reader.readOn(uses, attempt, current),
      ['missing', 'range', 'wrong answer'],
    );
  } catch (error) {
    if (!(error instanceof ExpectedFailure)) throw error;
    if (error.failure.kind === 'missing') throw objectMissing(key, connection.description);
    if (error.failure.kind === 'range') throw damaged(key, `it ends before byte ${range?.start ?? 0}`);
    if (reader.damage !== undefined) throw damaged(key, reader.damage);
    throw connection.error(error.failure, what);
  }
}

const damaged = (key: Key, cause: string) =>
  new BkpError('OBJECT_DAMAGED', `${key} is damaged`, {cause, context: {key}});

/**
 * Reads one object over as many requests as it takes. A body that was cut is asked for again from where it stopped, and
 * only of the object that it began with: bytes of two objects are never joined.
 */
class Reader {
  /** Why the bytes that came are not those that were stored; undefined = they are, as far as is known. */
  damage: string | undefined;
  #reading: Reading | undefined;
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
    const filledBefore = this.#reading?.filledBytes ?? 0;
    const from = (this.#range?.start ?? 0) + filledBefore;
    try {
      const output = await this.#connection.client.send(this.#command(from, uses), by(attempt));
      const body = output.Body as unknown as IncomingMessage;
      try {
        // A try that was ended leaves no trace: the next one reads on from what is filled.
        attempt.signal.throwIfAborted();
        await this.#fill(this.#begin(output, from), body, attempt);
      } catch (error) {
        body.destroy();
        throw error;
      }
    } catch (error) {
      const filled = this.#reading?.filledBytes ?? 0;
      if (filled - filledBefore >= progressBytes) current.progressed();
      if (filledBefore > 0 && isChanged(error)) {
        this.#reading = undefined;
        throw new WrongAnswer('it was written anew while it was read');
      }
      throw error;
    }
    const {bytes, crc32: stored} = this.#reading!;
    // Ranges are checked by who asked for them: their hash is known there.
    if (this.#range === undefined && stored !== undefined && crc32Base64(bytes) !== stored) {
      this.#reading = undefined;
      this.damage = `its CRC32 is ${crc32Base64(bytes)}, and ${stored} was stored with it`;
      throw new WrongAnswer(this.damage);
    }
    return bytes;
  }

  #command(from: number, uses: (feature: Feature) => boolean) {
    const input: GetObjectCommandInput = {Bucket: this.#connection.bucket, Key: this.#path};
    if (uses('ranges')) {
      if (this.#range !== undefined) input.Range = `bytes=${from}-${this.#range.end - 1}`;
      else if (from > 0) input.Range = `bytes=${from}-`;
    }
    if (uses('ifMatch') && this.#reading?.etag !== undefined) input.IfMatch = this.#reading.etag;
    const command = new this.#connection.sdk.GetObjectCommand(input);
    if (this.#range !== undefined || !uses('checksums')) return command;
    // Asked for behind the SDK's back: told of it, the SDK would check each body by itself, also one that is only the rest.
    command.middlewareStack.add(
      (next) => (args) => {
        (args.request as {headers: Record<string, string>}).headers['x-amz-checksum-mode'] = 'ENABLED';
        return next(args);
      },
      {step: 'build', name: 'askForChecksum'},
    );
    return command;
  }

  /** @returns how many bytes of the body come before those that are wanted */
  #begin(output: GetObjectCommandOutput, from: number): number {
    const lengthBytes = output.ContentLength;
    if (lengthBytes === undefined || output.ETag === undefined) {
      throw new WrongAnswer('the answer has no length or no ETag: is a proxy or a login page in between?');
    }
    if (this.#reading !== undefined && this.#reading.etag !== output.ETag) {
      this.#reading = undefined;
      throw new WrongAnswer('it was written anew while it was read');
    }
    // A server that knows no ranges sends it all.
    const [start, total] = contentRange(output.ContentRange) ?? [0, lengthBytes];
    const range = this.#range ?? {start: 0, end: total};
    if (range.end > total) throw objectTooShort(this.#key, total, range);
    this.#reading ??= {
      bytes: Buffer.allocUnsafeSlow(range.end - range.start),
      filledBytes: 0,
      etag: output.ETag,
      // Of an object that was written in parts it is a checksum of checksums: `…-3`.
      crc32: output.ChecksumCRC32?.includes('-') ? undefined : output.ChecksumCRC32,
    };
    if (start > from || start + lengthBytes < range.end) {
      throw new WrongAnswer(`bytes ${start} to ${start + lengthBytes} came, from ${from} on was asked for`);
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

/** @returns first byte and size of the whole object */
export function contentRange(header: string | undefined): [start: number, totalBytes: number] | undefined {
  const parts = /^bytes (\d+)-\d+\/(\d+)$/.exec(header ?? '');
  return parts === null ? undefined : [Number(parts[1]), Number(parts[2])];
}

/** As `x-amz-checksum-crc32` has it: big-endian, base64. */
export function crc32Base64(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}

/** The answer to `If-Match` when the object is another one now, or gone. */
const isChanged = (error: unknown) =>
  [404, 412].includes((error as {$metadata?: {httpStatusCode?: number}}).$metadata?.httpStatusCode ?? 0);
