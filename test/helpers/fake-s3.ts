import {once} from 'node:events';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {FakeBucket} from './fake-bucket.ts';
import {
  carryOut,
  escapeXml,
  type FakeRequest,
  type FakeSettings,
  keysIn,
  nameOf,
  Refusal,
  type Reply,
  xml,
} from './fake-s3-calls.ts';

export type FakeS3Options = Partial<FakeSettings> & {
  bucket?: string;
  /** Keeps old versions; a delete leaves a marker. */
  versioning?: boolean;
  /** Objects can be locked; implies versioning. */
  objectLock?: boolean;
  /** Whether the bucket encrypts what it keeps, as those of AWS do. Default true. */
  isEncrypted?: boolean;
  /** The only accepted access key id; signatures are not checked. Default: any. */
  accessKeyId?: string;
  /** The only accepted region in a signature. Default: any. */
  region?: string;
};

/**
 * The requests that a fault affects: those of this call and key, without the first `skip`, and at most `times` of them.
 */
export type FaultAt = {call?: string; key?: string | RegExp; skip?: number; times?: number};

export type FaultEffect =
  /** Not executed; the response is this, an error in XML unless `body` is given. */
  | {kind: 'answer'; status: number; code: string; message?: string; headers?: Record<string, string>; body?: string}
  /** DeleteObjects responds with 200 and this error for these keys, which stay. */
  | {kind: 'itemError'; code: string; message?: string}
  /** Executed, and the connection is closed without a response. */
  | {kind: 'loseReply'}
  /** Not executed, and the connection is closed. */
  | {kind: 'reset'}
  /** Not executed, and there is never a response. */
  | {kind: 'hang'}
  /** The body of the response stops after this number of bytes, and the connection is closed. Then runs the action. */
  | {kind: 'cutBody'; afterBytes: number; action?: () => void}
  /** The body of the response stops after this number of bytes, and the connection stays open. */
  | {kind: 'stallBody'; afterBytes: number}
  /** One bit of the body of the response is wrong. */
  | {kind: 'flipBit'; atByte: number}
  /** Runs the action before the request is executed, to change the server's state in between. */
  | {kind: 'run'; action: () => void};

/** One line of the request log. */
export type LoggedRequest = {name: string; key: string; range?: string; headers: IncomingMessage['headers']};

export type FakeS3 = {
  endpoint: string;
  bucket: string;
  /** Every request so far, in order, including retries. */
  requests: LoggedRequest[];
  objects: FakeBucket;
  settings: FakeSettings;
  /** Changed by tests of keys that are rotated. */
  accepted: {accessKeyId?: string | undefined};
  /** Faults apply in the order in which they were added; a request is affected by at most one. */
  fault(at: FaultAt, effect: FaultEffect): void;
  close(): Promise<void>;
};

type Fault = {at: FaultAt; effect: FaultEffect; met: number};

const tooSkewedMs = 15 * 60 * 1000;

/**
 * An S3 server in this process, on 127.0.0.1: one bucket, path style, the part of the protocol that bkp uses, and
 * faults on demand. It behaves like MinIO and versitygw, which run the same contract suite.
 */
export async function startFakeS3(options: FakeS3Options = {}): Promise<FakeS3> {
  const {
    bucket = 'bucket',
    objectLock = false,
    versioning = objectLock,
    accessKeyId,
    region,
    isEncrypted = true,
    ...changed
  } = options;
  const settings: FakeSettings = {
    ignoreConditions: false,
    unsupported: new Set(),
    ignoresListType: false,
    denied: new Set(),
    pageKeys: 1000,
    clockOffsetMs: 0,
    weakEtags: false,
    gone: false,
    ...changed,
  };
  const objects = new FakeBucket(versioning);
  const accepted = {accessKeyId};
  const requests: LoggedRequest[] = [];
  const faults: Fault[] = [];

  const faultFor = (request: FakeRequest): FaultEffect | undefined => {
    for (const fault of faults) {
      const {call, key, skip = 0, times = 1} = fault.at;
      if (call !== undefined && call !== request.name) continue;
      if (typeof key === 'string' ? key !== request.key : key !== undefined && !key.test(request.key)) continue;
      fault.met += 1;
      if (fault.met > skip && fault.met <= skip + times) return fault.effect;
    }
    return undefined;
  };

  const refuseOrCarryOut = (request: FakeRequest): Reply => {
    const signed = /Credential=([^/]*)\/\d+\/([^/]*)\//.exec(request.headers.authorization ?? '');
    if (accepted.accessKeyId !== undefined && signed?.[1] !== accepted.accessKeyId) {
      throw new Refusal(403, 'InvalidAccessKeyId', 'The Access Key Id you provided does not exist in our records.');
    }
    if (region !== undefined && signed?.[2] !== region) {
      const message = `The authorization header is malformed; the region is wrong; expecting '${region}'.`;
      throw new Refusal(400, 'AuthorizationHeaderMalformed', message);
    }
    const stamp = String(request.headers['x-amz-date']).replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5');
    if (Math.abs(Date.parse(stamp) - Date.now() - settings.clockOffsetMs) > tooSkewedMs) {
      throw new Refusal(
        403,
        'RequestTimeTooSkewed',
        'The difference between the request time and the server is too large',
      );
    }
    if (request.bucket !== bucket || settings.gone) {
      throw new Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist');
    }
    if (settings.denied.has(request.name)) throw new Refusal(403, 'AccessDenied', 'Access Denied.');
    return carryOut(request, {bucket: objects, settings, objectLock, versioning, isEncrypted});
  };

  const replyTo = (request: FakeRequest, effect: FaultEffect | undefined): Reply => {
    if (effect?.kind === 'answer') {
      const {status, code, message = code, headers, body} = effect;
      const reply = body === undefined ? errorReply(status, code, message) : {status, body};
      return {...reply, headers: {...reply.headers, ...headers}};
    }
    if (effect?.kind === 'itemError') {
      const {code, message = code} = effect;
      const errors = keysIn(request.body).map(
        (key) => `<Error><Key>${escapeXml(key)}</Key><Code>${code}</Code><Message>${message}</Message></Error>`,
      );
      return xml('DeleteResult', errors.join(''));
    }
    if (effect?.kind === 'run') effect.action();
    try {
      return refuseOrCarryOut(request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return errorReply(error.status, error.code, error.message);
    }
  };

  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const request = await readRequest(incoming);
      const {name, key, headers} = request;
      requests.push({name, key, headers, ...(headers.range === undefined ? {} : {range: headers.range})});
      const effect = faultFor(request);
      if (effect?.kind === 'hang') return;
      if (effect?.kind === 'reset') return void incoming.socket.resetAndDestroy();
      const reply = replyTo(request, effect);
      if (effect?.kind === 'loseReply') return void incoming.socket.destroy();
      answer(outgoing, incoming, {reply, effect, nowMs: Date.now() + settings.clockOffsetMs});
    })().catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bucket,
    requests,
    objects,
    settings,
    accepted,
    fault: (at, effect) => void faults.push({at, effect, met: 0}),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function readRequest(incoming: IncomingMessage): Promise<FakeRequest> {
  const url = new URL(incoming.url ?? '/', 'http://fake');
  const [, bucket = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
  const key = rest.join('/');
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece as Buffer);
  const name = nameOf(incoming.method ?? '', key, url.searchParams);
  return {name, bucket, key, query: url.searchParams, headers: incoming.headers, body: Buffer.concat(pieces)};
}

const errorReply = (status: number, code: string, message: string): Reply =>
  xml('Error', `<Code>${code}</Code><Message>${escapeXml(message)}</Message><RequestId>fake</RequestId>`, status);

type Answering = {reply: Reply; effect: FaultEffect | undefined; nowMs: number};

function answer(outgoing: ServerResponse, incoming: IncomingMessage, {reply, effect, nowMs}: Answering): void {
  let body = Buffer.from(reply.body ?? '');
  if (effect?.kind === 'flipBit') {
    body = Buffer.from(body);
    body[effect.atByte]! ^= 1;
  }
  outgoing.writeHead(reply.status, {
    date: new Date(nowMs).toUTCString(),
    'x-amz-request-id': 'fake',
    'content-length': String(body.length),
    ...reply.headers,
  });
  // The response to a HEAD has a length but no body.
  if (incoming.method === 'HEAD') outgoing.end();
  else if (effect?.kind === 'cutBody' || effect?.kind === 'stallBody') {
    outgoing.write(body.subarray(0, effect.afterBytes), () => {
      if (effect.kind === 'stallBody') return;
      outgoing.destroy();
      effect.action?.();
    });
  } else outgoing.end(body);
}
