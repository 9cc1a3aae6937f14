import type {ListObjectsCommandOutput, ListObjectsV2CommandOutput} from '@aws-sdk/client-s3';
import {BkpError} from '../../errors/index.ts';
import {isKey} from '../key.ts';
import type {ListOptions, ObjectFacts} from '../store.ts';
import {by, type S3Connection} from './connection/connection.ts';
import {UnexpectedResponse} from './connection/failure.ts';
import {defaultEmptyPages, type S3StoreOptions} from './options.ts';

/** The largest page that servers return. */
const pageKeys = 1000;

/**
 * Every object of the store below `prefix`, sorted by key.
 * @param rootPrefix the store's prefix in the bucket: empty, or ending in `/`
 */
export async function* listObjects(
  connection: S3Connection,
  rootPrefix: string,
  prefix: string,
  {after: afterKey, emptyPagesAtMost = defaultEmptyPages}: ListOptions & Pick<S3StoreOptions, 'emptyPagesAtMost'> = {},
): AsyncIterable<ObjectFacts> {
  const doing = prefix === '' ? 'list its objects' : `list ${prefix}`;
  let next: Next = afterKey === undefined ? {} : {startAfter: rootPrefix + afterKey};
  let last = '';
  let emptyPages = 0;
  do {
    const page = await pageOf(connection, rootPrefix + prefix, doing, next);
    emptyPages = page.Contents === undefined || page.Contents.length === 0 ? emptyPages + 1 : 0;
    if (page.IsTruncated && emptyPages > emptyPagesAtMost) throw endless(connection, last, emptyPagesAtMost);
    for (const {Key: path, Size: sizeBytes, LastModified: modified, ETag: etag} of page.Contents ?? []) {
      const key = keyOf(path ?? '', rootPrefix, page.EncodingType === 'url');
      if (key === undefined || sizeBytes === undefined) continue;
      // Merging and the search for missing objects rely on the order; S3 guarantees it, except for directory buckets.
      if (key <= last) throw notSorted(connection, last, key);
      last = key;
      yield {
        key,
        sizeBytes,
        modifiedAtMs: modified?.getTime() ?? 0,
        version: etag && versionOf(etag),
      };
    }
    const before = next;
    next = after(page);
    if (page.IsTruncated && next.token === undefined && next.marker === undefined) throw withoutEnd(connection, last);
    if (page.IsTruncated && isSame(before, next)) throw notSorted(connection, last, last);
  } while (next.token !== undefined || next.marker !== undefined);
}

/**
 * The start of the next page: a token in version 2 of listings, a name in version 1; of the first page, the key before
 * it. Empty = there is no next page.
 */
type Next = {token?: string; marker?: string; startAfter?: string};

type Page = ListObjectsV2CommandOutput | ListObjectsCommandOutput;

function pageOf(
  connection: S3Connection,
  path: string,
  doing: string,
  {token, marker, startAfter}: Next,
): Promise<Page> {
  return connection.callWith({call: 'ListObjectsV2', doing}, ['urlEncoding', 'listV2'], async (uses, attempt) => {
    const input = {
      Bucket: connection.bucket,
      Prefix: path,
      MaxKeys: pageKeys,
      // The name of a foreign object may contain characters that XML cannot.
      ...(uses('urlEncoding') ? {EncodingType: 'url' as const} : {}),
    };
    const {sdk, client} = connection;
    if (!uses('listV2') || marker !== undefined) {
      const begin = marker ?? startAfter;
      const command = new sdk.ListObjectsCommand({...input, ...(begin === undefined ? {} : {Marker: begin})});
      return requireListing(await client.send(command, by(attempt)));
    }
    const begin = startAfter === undefined ? {} : {StartAfter: startAfter};
    const more = token === undefined ? begin : {ContinuationToken: token};
    return requireListing(await client.send(new sdk.ListObjectsV2Command({...input, ...more}), by(attempt)));
  });
}

/** An empty response would look like an empty store. */
function requireListing<P extends Page>(page: P): P {
  if (!('KeyCount' in page && page.KeyCount !== undefined) && page.Name === undefined) {
    throw new UnexpectedResponse('the response is not a listing');
  }
  return page;
}

/** A server that lacks version 2 responds with version 1, which has no token. */
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

/** @returns undefined for an object that does not belong to the store */
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

/** Taken for complete, it would hide backups, and what they need from a cleanup. */
const withoutEnd = (connection: S3Connection, last: string) =>
  new BkpError('STORE_UNAVAILABLE', `the store ${connection.description} does not list all of its objects`, {
    cause: `its listing goes on ${last === '' ? '' : `after ${last} `}and does not say where`,
    next: 'try again; bkp store check shows what this server can do',
  });

const endless = (connection: S3Connection, last: string, pages: number) =>
  new BkpError('STORE_UNAVAILABLE', `the listing of the store ${connection.description} does not end`, {
    cause: `${pages} pages without an object ${last === '' ? 'came' : `came after ${last}`}, and more would follow`,
    next:
      'bkp store check shows what this server can do; in a bucket with versions, a lifecycle rule that removes ' +
      'noncurrent versions and expired delete markers makes listings short',
  });

const notSorted = (connection: S3Connection, before: string, after: string) =>
  new BkpError('STORE_UNAVAILABLE', `the store ${connection.description} does not list its objects in order`, {
    cause: `${after} came after ${before}`,
    next: 'use a general purpose bucket: directory buckets list objects without order',
  });
