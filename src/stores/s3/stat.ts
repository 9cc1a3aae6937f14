import type {IncomingMessage} from 'node:http';
import type {HeadObjectCommandOutput} from '@aws-sdk/client-s3';
import type {Key, ObjectFacts} from '../store.ts';
import {by, ExpectedFailure, type S3Connection} from './connection/connection.ts';
import {UnexpectedResponse} from './connection/failure.ts';
import {contentRange} from './get.ts';
import {versionOf} from './list.ts';

/**
 * Facts of one object, by a GET of its first byte: the response to a HEAD has no body, so it cannot tell a missing
 * bucket from a missing object, nor a wrong key from a missing permission.
 * @returns undefined if there is no such object
 */
export async function statObject(connection: S3Connection, key: Key, path: string): Promise<ObjectFacts | undefined> {
  const input = {Bucket: connection.bucket, Key: path};
  const doing = `read the facts of ${key}`;
  try {
    return await connection.callWith(
      {call: 'GetObject', doing},
      ['ranges'],
      async (uses, attempt) => {
        const first = uses('ranges') ? {Range: 'bytes=0-0'} : {};
        const command = new connection.sdk.GetObjectCommand({...input, ...first});
        const output = await connection.client.send(command, by(attempt));
        const body = output.Body as unknown as IncomingMessage;
        const range = contentRange(output.ContentRange);
        if (output.ETag === undefined) {
          body.destroy();
          throw new UnexpectedResponse('the response has no ETag: a proxy or a login page may have sent it');
        }
        // A server without ranged reads sends the whole object, which is not needed.
        if (range === undefined) body.destroy();
        else for await (const piece of body) await connection.received(piece.length, attempt);
        return facts(key, range?.[1] ?? output.ContentLength, output);
      },
      ['missing', 'range'],
    );
  } catch (error) {
    if (!(error instanceof ExpectedFailure)) throw error;
    if (error.failure.kind === 'missing') return undefined;
  }
  // An empty object has no first byte.
  try {
    return await connection.call(
      {call: 'HeadObject', doing},
      async (attempt) => {
        const output = await connection.client.send(new connection.sdk.HeadObjectCommand(input), by(attempt));
        return facts(key, output.ContentLength, output);
      },
      ['missing', 'not found'],
    );
  } catch (error) {
    if (error instanceof ExpectedFailure) return undefined;
    throw error;
  }
}

function facts(
  key: Key,
  sizeBytes: number | undefined,
  output: Pick<HeadObjectCommandOutput, 'LastModified' | 'ETag'>,
): ObjectFacts {
  return {
    key,
    sizeBytes: sizeBytes ?? 0,
    modifiedAtMs: output.LastModified?.getTime() ?? 0,
    version: output.ETag && versionOf(output.ETag),
  };
}
