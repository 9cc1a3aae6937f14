import {BkpError} from '../errors/index.ts';
import {isKey} from './key.ts';
import {by, type S3Connection} from './s3-connection.ts';
import {WrongAnswer} from './s3-failure.ts';
import type {ObjectFacts} from './store.ts';

/** The most that any server gives at once. */
const pageKeys = 1000;

/**
 * Every object of ours below `prefix`, sorted by key.
 * @param rootPrefix where the store lies in the bucket: empty, or ending in `/`
 */
export async function* listObjects(
  connection: S3Connection,
  rootPrefix: string,
  prefix: string,
): AsyncIterable<ObjectFacts> {
  const what = {call: 'ListObjectsV2', doing: prefix === '' ? 'list its objects' : `list ${prefix}`};
  let token: string | undefined;
  let last = '';
  do {
    const input = {
      Bucket: connection.bucket,
      Prefix: rootPrefix + prefix,
      MaxKeys: pageKeys,
      // A foreign object's name may hold what XML cannot.
      EncodingType: 'url' as const,
      ...(token === undefined ? {} : {ContinuationToken: token}),
    };
    const page = await connection.call(what, async (attempt) => {
      const output = await connection.client.send(new connection.sdk.ListObjectsV2Command(input), by(attempt));
      // An empty answer would read as an empty store.
      if (output.KeyCount === undefined && output.Name === undefined) throw new WrongAnswer('the answer is no listing');
      return output;
    });
    for (const {Key: path, Size: sizeBytes, LastModified: modified, ETag: etag} of page.Contents ?? []) {
      const key = keyOf(path ?? '', rootPrefix, page.EncodingType === 'url');
      if (key === undefined || sizeBytes === undefined) continue;
      // Merging and looking for what is missing rest on the order; S3 promises it, but for directory buckets.
      if (key <= last) throw notSorted(connection, last, key);
      last = key;
      yield {
        key,
        sizeBytes,
        modifiedAtMs: modified?.getTime() ?? 0,
        ...(etag === undefined ? {} : {version: versionOf(etag)}),
      };
    }
    if (page.IsTruncated && (page.NextContinuationToken ?? token) === token) throw notSorted(connection, last, last);
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

/** An ETag without its quotes. */
export const versionOf = (etag: string) => etag.replaceAll('"', '');

/** @returns undefined for an object that is none of ours */
function keyOf(path: string, rootPrefix: string, encoded: boolean): string | undefined {
  let plain = path;
  try {
    if (encoded) plain = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  if (!plain.startsWith(rootPrefix)) return undefined;
  const key = plain.slice(rootPrefix.length);
  return isKey(key) ? key : undefined;
}

const notSorted = (connection: S3Connection, before: string, after: string) =>
  new BkpError('STORE_UNAVAILABLE', `the store ${connection.description} does not list its objects in order`, {
    cause: `${after} came after ${before}`,
    next: 'use a general purpose bucket: directory buckets list without order',
  });
