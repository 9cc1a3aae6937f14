import type {ListObjectsCommandOutput, ListObjectsV2CommandOutput} from '@aws-sdk/client-s3';
import {BkpError} from '../../errors/index.ts';
import {isKey} from '../key.ts';
import type {ObjectFacts} from '../store.ts';
import {by, type S3Connection} from './connection/connection.ts';
import {WrongAnswer} from './connection/failure.ts';

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
  const doing = prefix === '' ? 'list its objects' : `list ${prefix}`;
  let next: Next = {};
  let last = '';
  do {
    const page = await pageOf(connection, rootPrefix + prefix, doing, next);
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
    const before = next;
    next = after(page);
    if (page.IsTruncated && isSame(before, next)) throw notSorted(connection, last, last);
  } while (next.token !== undefined || next.marker !== undefined);
}

/** Where the next page begins: a token in the second form of listings, a name in the first. Empty = there is none. */
type Next = {token?: string; marker?: string};

type Page = ListObjectsV2CommandOutput | ListObjectsCommandOutput;

function pageOf(connection: S3Connection, path: string, doing: string, {token, marker}: Next): Promise<Page> {
  return connection.callWith({call: 'ListObjectsV2', doing}, ['urlEncoding', 'listV2'], async (uses, attempt) => {
    const input = {
      Bucket: connection.bucket,
      Prefix: path,
      MaxKeys: pageKeys,
      // A foreign object's name may hold what XML cannot.
      ...(uses('urlEncoding') ? {EncodingType: 'url' as const} : {}),
    };
    const {sdk, client} = connection;
    if (!uses('listV2') || marker !== undefined) {
      const command = new sdk.ListObjectsCommand({...input, ...(marker === undefined ? {} : {Marker: marker})});
      return requireListing(await client.send(command, by(attempt)));
    }
    const more = token === undefined ? {} : {ContinuationToken: token};
    return requireListing(await client.send(new sdk.ListObjectsV2Command({...input, ...more}), by(attempt)));
  });
}

/** An empty answer would read as an empty store. */
function requireListing<P extends Page>(page: P): P {
  if (!('KeyCount' in page && page.KeyCount !== undefined) && page.Name === undefined) {
    throw new WrongAnswer('the answer is no listing');
  }
  return page;
}

/** A server that does not know the second form answers in the first, which has no token. */
function after(page: Page): Next {
  if (!page.IsTruncated) return {};
  if ('NextContinuationToken' in page && page.NextContinuationToken !== undefined)
    return {token: page.NextContinuationToken};
  const named = ('NextMarker' in page ? page.NextMarker : undefined) ?? page.Contents?.at(-1)?.Key;
  if (named === undefined) return {};
  return {marker: page.EncodingType === 'url' ? decodeURIComponent(named) : named};
}

const isSame = (one: Next, other: Next) => one.token === other.token && one.marker === other.marker;

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
