import {createHash} from 'node:crypto';
import type {IncomingMessage} from 'node:http';
import {crc32} from 'node:zlib';
import type {FakeBucket, FakeVersion} from './fake-bucket.ts';

export type Reply = {status: number; headers?: Record<string, string>; body?: Buffer | string};

/** A request with its body. */
export type FakeRequest = {
  /** The SDK's name of the call: `PutObject`. */
  name: string;
  bucket: string;
  key: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
};

/** Settings that can change while the server runs. */
export type FakeSettings = {
  /** Ignore conditional writes, as Garage and rclone do. */
  ignoreConditions: boolean;
  /** Headers, query parameters and calls that the server refuses as not implemented. */
  unsupported: Set<string>;
  /** Respond to every listing with version 1. */
  ignoresListType: boolean;
  /** Calls that the key is not allowed to make. */
  denied: Set<string>;
  /** Maximum number of keys in a page of a listing. */
  pageKeys: number;
  /** How far the server's clock is ahead. */
  clockOffsetMs: number;
  /** Responses to reads have weak ETags, as behind a proxy that compresses; these match no condition. */
  weakEtags: boolean;
  /** The bucket no longer exists. */
  gone: boolean;
};

export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string = code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function nameOf(method: string, key: string, query: URLSearchParams): string {
  const has = (name: string) => query.has(name);
  switch (method) {
    case 'GET':
      if (key === '') {
        if (has('object-lock')) return 'GetObjectLockConfiguration';
        if (has('lifecycle')) return 'GetBucketLifecycleConfiguration';
        if (has('encryption')) return 'GetBucketEncryption';
        return has('versioning') ? 'GetBucketVersioning' : 'ListObjectsV2';
      }
      return has('retention') ? 'GetObjectRetention' : 'GetObject';
    case 'HEAD':
      return key === '' ? 'HeadBucket' : 'HeadObject';
    case 'PUT':
      return has('retention') ? 'PutObjectRetention' : 'PutObject';
    case 'POST':
      return has('delete') ? 'DeleteObjects' : 'Unknown';
    case 'DELETE':
      return 'DeleteObject';
    default:
      return 'Unknown';
  }
}

type Place = {
  bucket: FakeBucket;
  settings: FakeSettings;
  objectLock: boolean;
  versioning: boolean;
  isEncrypted: boolean;
};

/** @throws Refusal */
export function carryOut(request: FakeRequest, place: Place): Reply {
  refuseUnsupported(request, place.settings.unsupported);
  switch (request.name) {
    case 'PutObject':
      return putObject(request, place);
    case 'GetObject':
    case 'HeadObject':
      return getObject(request, place);
    case 'ListObjectsV2':
      return listObjects(request, place);
    case 'DeleteObject':
      place.bucket.delete(request.key);
      return {status: 204};
    case 'DeleteObjects':
      for (const key of keysIn(request.body)) place.bucket.delete(key);
      return xml('DeleteResult', '');
    case 'HeadBucket':
      return {status: 200};
    case 'GetBucketVersioning':
      return xml('VersioningConfiguration', place.versioning ? '<Status>Enabled</Status>' : '');
    case 'GetObjectLockConfiguration':
      if (!place.objectLock) throw new Refusal(404, 'ObjectLockConfigurationNotFoundError');
      return xml('ObjectLockConfiguration', '<ObjectLockEnabled>Enabled</ObjectLockEnabled>');
    case 'GetBucketLifecycleConfiguration':
      throw new Refusal(404, 'NoSuchLifecycleConfiguration');
    case 'GetBucketEncryption': {
      if (!place.isEncrypted) throw new Refusal(404, 'ServerSideEncryptionConfigurationNotFoundError');
      const algorithm = '<SSEAlgorithm>AES256</SSEAlgorithm>';
      const applied = `<ApplyServerSideEncryptionByDefault>${algorithm}</ApplyServerSideEncryptionByDefault>`;
      return xml('ServerSideEncryptionConfiguration', `<Rule>${applied}</Rule>`);
    }
    case 'PutObjectRetention':
      return putRetention(request, place);
    default:
      throw new Refusal(501, 'NotImplemented');
  }
}

function refuseUnsupported({name, headers, query}: FakeRequest, unsupported: ReadonlySet<string>): void {
  for (const what of unsupported) {
    const param = what === 'list-type' ? query.get(what) === '2' : query.has(what);
    // As Backblaze B2 does.
    if (Object.keys(headers).some((header) => header.startsWith(what))) {
      if (what.startsWith('x-amz')) throw new Refusal(400, 'InvalidArgument', `Unsupported header '${what}' received`);
      throw new Refusal(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented');
    }
    if (name === what || param) throw new Refusal(501, 'NotImplemented', 'not implemented');
  }
}

function putObject({key, headers, body}: FakeRequest, place: Place): Reply {
  const {bucket, settings, objectLock, versioning} = place;
  const sent = header(headers, 'x-amz-checksum-crc32');
  if (sent !== undefined && sent !== crc32Of(body)) throw new Refusal(400, 'XAmzContentChecksumMismatch');
  const hash = header(headers, 'x-amz-content-sha256') ?? '';
  if (hash.length === 64 && hash !== createHash('sha256').update(body).digest('hex')) {
    throw new Refusal(400, 'XAmzContentSHA256Mismatch');
  }
  if (!settings.ignoreConditions && headers['if-none-match'] === '*' && bucket.get(key) !== undefined) {
    throw new Refusal(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
  }
  const mode = header(headers, 'x-amz-object-lock-mode');
  const until = header(headers, 'x-amz-object-lock-retain-until-date');
  if (mode !== undefined && !objectLock) {
    throw new Refusal(400, 'InvalidRequest', 'Bucket is missing ObjectLockConfiguration');
  }
  const version = bucket.put(key, body, {
    ...(sent === undefined ? {} : {crc32: sent}),
    ...(mode === undefined ? {} : {lockMode: mode}),
    ...(until === undefined ? {} : {retainUntilMs: Date.parse(until)}),
  });
  return {
    status: 200,
    headers: {
      etag: `"${version.etag}"`,
      ...(versioning ? {'x-amz-version-id': version.versionId} : {}),
      ...(sent === undefined ? {} : {'x-amz-checksum-crc32': sent}),
    },
  };
}

function getObject(request: FakeRequest, {bucket, settings}: Place): Reply {
  const {key, headers} = request;
  const found = bucket.get(key);
  if (found === undefined) throw new Refusal(404, 'NoSuchKey', 'The specified key does not exist.');
  if (headers['if-match'] !== undefined && headers['if-match'] !== `"${found.etag}"`) {
    throw new Refusal(412, 'PreconditionFailed');
  }
  const size = found.body.length;
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  if (range === null) {
    const asked = headers['x-amz-checksum-mode'] === 'ENABLED' && found.crc32 !== undefined;
    return {
      status: 200,
      headers: {...factsOf(found, settings), ...(asked ? {'x-amz-checksum-crc32': found.crc32!} : {})},
      body: found.body,
    };
  }
  const [start, last] = [Number(range[1]), range[2] === '' ? size - 1 : Math.min(Number(range[2]), size - 1)];
  if (start >= size) throw new Refusal(416, 'InvalidRange', 'The requested range is not satisfiable');
  return {
    status: 206,
    headers: {...factsOf(found, settings), 'content-range': `bytes ${start}-${last}/${size}`},
    body: found.body.subarray(start, last + 1),
  };
}

function factsOf(found: FakeVersion, {weakEtags}: FakeSettings): Record<string, string> {
  const {etag, modifiedAtMs, lockMode, retainUntilMs} = found;
  return {
    etag: `${weakEtags ? 'W/' : ''}"${etag}"`,
    'last-modified': new Date(modifiedAtMs).toUTCString(),
    ...(lockMode === undefined ? {} : {'x-amz-object-lock-mode': lockMode}),
    ...(retainUntilMs === undefined
      ? {}
      : {'x-amz-object-lock-retain-until-date': new Date(retainUntilMs).toISOString()}),
  };
}

function listObjects({query}: FakeRequest, {bucket, settings}: Place): Reply {
  const token = query.get('continuation-token');
  const isFirstForm = settings.ignoresListType || query.get('list-type') !== '2';
  const begin = (isFirstForm ? query.get('marker') : query.get('start-after')) ?? '';
  const after = token === null ? begin : Buffer.from(token, 'base64').toString();
  const encode = (key: string) =>
    query.get('encoding-type') === 'url' ? encodeURIComponent(key).replaceAll('%2F', '/') : escapeXml(key);
  const pageKeys = Math.min(Number(query.get('max-keys') ?? 1000), settings.pageKeys);
  const matching = bucket
    .keys()
    .filter(
      (key) => key.startsWith(query.get('prefix') ?? '') && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0,
    );
  const page = matching.slice(0, pageKeys);
  const contents = page.map((key) => {
    const {body, etag, modifiedAtMs} = bucket.get(key)!;
    const modified = new Date(modifiedAtMs).toISOString();
    return (
      `<Contents><Key>${encode(key)}</Key><LastModified>${modified}</LastModified><ETag>&quot;` +
      `${etag}&quot;</ETag><Size>${body.length}</Size></Contents>`
    );
  });
  const next = Buffer.from(page.at(-1) ?? '').toString('base64');
  const more = matching.length > page.length;
  return xml(
    'ListBucketResult',
    [
      `<Name>bucket</Name><IsTruncated>${more}</IsTruncated>`,
      more && !isFirstForm ? `<NextContinuationToken>${next}</NextContinuationToken>` : '',
      query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '',
      isFirstForm ? '' : `<KeyCount>${page.length}</KeyCount>`,
      ...contents,
    ].join(''),
  );
}

function putRetention({key, body}: FakeRequest, {bucket, objectLock}: Place): Reply {
  const found = bucket.get(key);
  if (found === undefined) throw new Refusal(404, 'NoSuchKey');
  if (!objectLock) throw new Refusal(400, 'InvalidRequest', 'Bucket is missing ObjectLockConfiguration');
  const untilMs = Date.parse(/<RetainUntilDate>(.*?)<\/RetainUntilDate>/.exec(body.toString())?.[1] ?? '');
  if (untilMs < (found.retainUntilMs ?? 0)) {
    throw new Refusal(403, 'AccessDenied', 'Access Denied because object protected by object lock.');
  }
  found.retainUntilMs = untilMs;
  found.lockMode = /<Mode>(.*?)<\/Mode>/.exec(body.toString())?.[1] ?? 'COMPLIANCE';
  return {status: 200};
}

export function keysIn(deletion: Buffer): string[] {
  return [...deletion.toString().matchAll(/<Key>(.*?)<\/Key>/g)].map((match) => unescapeXml(match[1]!));
}

export function xml(element: string, inner: string, status = 200): Reply {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<${element}>${inner}</${element}>`;
  return {status, headers: {'content-type': 'application/xml'}, body};
}

export const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const unescapeXml = (text: string) =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');

function header(headers: IncomingMessage['headers'], name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function crc32Of(body: Buffer): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return sum.toString('base64');
}
