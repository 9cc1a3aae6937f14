import {readFileSync} from 'node:fs';
import type {Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage} from 'node:http';
import type {Agent as TlsAgent} from 'node:https';
import type {Socket} from 'node:net';
import {getCACertificates} from 'node:tls';
import {assert, BkpError} from '../../../errors/index.ts';
import type {S3StoreOptions} from '../options.ts';
import {type Attempt, AttemptEnded} from './attempt.ts';
import type {Pace} from './pace.ts';

// `import` would read every export of node:http, and one of them loads the client of `fetch`: as long as starting Node.
const http = process.getBuiltinModule('node:http');
const https = process.getBuiltinModule('node:https');

/** The body is sent after this time even if the server does not respond with `100 Continue`. */
const continueWithinMs = 1000;

/** The fields of the SDK's signed request that are used here. */
export type SignedRequest = {
  method: string;
  protocol: string;
  hostname: string;
  port?: number | undefined;
  path: string;
  query?: Record<string, string | string[] | null> | undefined;
  headers: Record<string, string>;
  body?: unknown;
};

/** Options that pass through the SDK with a request; the SDK itself knows only the time-out. */
export type HandlerOptions = {attempt?: Attempt; requestTimeout?: number};

type Agents = {http: Agent; https: TlsAgent};

type HandlerOutput = {
  response: {statusCode: number; reason: string; headers: Record<string, string>; body: IncomingMessage};
};

/**
 * Sends the requests that the SDK has signed.
 *
 * Replaces the SDK's own handler, which needs four options to time out on a silent connection, opens a new
 * connection for each large upload, and can neither limit its rate nor count bytes. A body is split into pieces
 * after it is signed, so length and hash stay as signed.
 */
export class S3Http {
  readonly metadata = {handlerProtocol: 'http/1.1'};
  readonly #agents: Agents;
  readonly #connectMs: number;
  readonly #upload: Pace;

  constructor(options: {agents: Agents; connectMs: number; upload: Pace}) {
    this.#agents = options.agents;
    this.#connectMs = options.connectMs;
    this.#upload = options.upload;
  }

  /** @param options.attempt passed through the SDK unchanged */
  handle(request: SignedRequest, {attempt}: HandlerOptions = {}): Promise<HandlerOutput> {
    assert(attempt !== undefined, 'a request is sent by an attempt');
    attempt.secrets.push(...secretsIn(request.headers));
    const {promise, resolve, reject} = Promise.withResolvers<HandlerOutput>();
    const secure = request.protocol === 'https:';
    const sender = (secure ? https : http).request({
      agent: secure ? this.#agents.https : this.#agents.http,
      method: request.method,
      host: request.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: request.port,
      path: request.path + queryText(request.query),
      headers: request.headers,
    });
    const abort = () => sender.destroy(attempt.signal.reason as Error);
    attempt.signal.addEventListener('abort', abort);
    sender.once('close', () => attempt.signal.removeEventListener('abort', abort));
    sender.once('socket', (socket) => {
      attempt.watch(socket);
      this.#limitConnecting(sender, socket, secure);
    });
    sender.once('response', (incoming) => {
      attempt.headers = plainHeaders(incoming.headers);
      // A response during an upload is a refusal; the server would read the unsent rest as the next request.
      incoming.once('end', () => sender.writableEnded || sender.destroy());
      resolve({
        response: {
          statusCode: incoming.statusCode ?? 0,
          reason: incoming.statusMessage ?? '',
          headers: {...attempt.headers},
          body: incoming,
        },
      });
    });
    // Never removed: a connection may fail again after its response, and an error without a listener ends the process.
    sender.on('error', reject);
    if (attempt.signal.aborted) abort();
    else this.#send(sender, request, attempt).catch(reject);
    return promise;
  }

  #limitConnecting(sender: ClientRequest, socket: Socket, secure: boolean): void {
    if (!socket.connecting) return;
    const timer = setTimeout(
      () => sender.destroy(new AttemptEnded(`no connection within ${this.#connectMs / 1000} s`)),
      this.#connectMs,
    );
    socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
  }

  async #send(sender: ClientRequest, request: SignedRequest, attempt: Attempt): Promise<void> {
    const body = bodyBytes(request.body);
    attempt.expect(body.length);
    if (request.headers.Expect !== undefined && !(await mayContinue(sender))) return;
    for (let at = 0; at < body.length; ) {
      const piece = body.subarray(at, at + this.#upload.pieceBytes());
      await attempt.rest(this.#upload.take(piece.length, attempt.signal));
      if (attempt.headers !== undefined || sender.destroyed) return;
      attempt.mayHaveArrived = true;
      await new Promise<void>((resolve, reject) => {
        sender.write(piece, (error) => (error ? reject(error) : resolve()));
      });
      attempt.sentBytes += piece.length;
      at += piece.length;
    }
    attempt.mayHaveArrived = true;
    attempt.uploaded();
    sender.end();
  }
}

/** Credentials of the AWS default chain are first visible here. */
function secretsIn({authorization = '', 'x-amz-security-token': token = ''}: Record<string, string>): string[] {
  return [/Credential=([^/]+)\//.exec(authorization)?.[1] ?? '', token].filter((secret) => secret !== '');
}

/** @returns false if a response has arrived already, so the server does not want the body */
function mayContinue(sender: ClientRequest): Promise<boolean> {
  const {promise, resolve} = Promise.withResolvers<boolean>();
  const timer = {at: undefined as NodeJS.Timeout | undefined};
  sender.flushHeaders();
  sender.once('continue', () => resolve(true));
  sender.once('response', () => resolve(false));
  sender.once('close', () => resolve(false));
  const start = () => {
    timer.at = setTimeout(() => resolve(true), continueWithinMs);
  };
  // The time starts once there is a connection: before, the body would only be buffered.
  sender.once('socket', (socket) => (socket.connecting ? socket.once('connect', start) : start()));
  return promise.finally(() => clearTimeout(timer.at));
}

function bodyBytes(body: unknown): Uint8Array {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return body;
  throw new Error('a request body that is neither text nor bytes');
}

function plainHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

/** As in the signature: escapes every byte that is not unreserved in RFC 3986. */
function queryText(query: SignedRequest['query']): string {
  const parts: string[] = [];
  for (const name of Object.keys(query ?? {}).sort()) {
    const value = query![name];
    for (const one of Array.isArray(value) ? value : [value]) {
      parts.push(one === null || one === undefined ? escapeUri(name) : `${escapeUri(name)}=${escapeUri(one)}`);
    }
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

const escapeUri = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** Agents that keep a limited number of connections open and check certificates against the roots in the options. */
export function makeAgents(options: Pick<S3StoreOptions, 'caCertFile' | 'caBuiltinRoots'>, sockets: number): Agents {
  const kept = {keepAlive: true, maxSockets: sockets, maxFreeSockets: sockets};
  return {http: new http.Agent(kept), https: new https.Agent({...kept, ...trustedRoots(options)})};
}

function trustedRoots({caCertFile, caBuiltinRoots = true}: Pick<S3StoreOptions, 'caCertFile' | 'caBuiltinRoots'>): {
  ca?: string[];
} {
  if (caCertFile === undefined) return caBuiltinRoots ? {} : {ca: getCACertificates('system')};
  try {
    return {ca: [...(caBuiltinRoots ? getCACertificates('default') : []), readFileSync(caCertFile, 'utf8')]};
  } catch (error) {
    throw new BkpError('STORE_UNAVAILABLE', `the certificate file ${caCertFile} cannot be read`, {
      cause: error,
      next: `ls -l ${caCertFile}, or correct ca_cert_file in the store`,
    });
  }
}
