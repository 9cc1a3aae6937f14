import {once} from 'node:events';
import type {IncomingMessage} from 'node:http';
import * as v from 'valibot';
import {BkpError} from '../../../errors/index.ts';
import {text} from '../../../lib/schema.ts';
import {microsOf} from '../../../lib/time.ts';

export type HttpOptions = {
  /** `http://127.0.0.1:9000`; a user and a password in it are used and removed from it. */
  http: string;
  user?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
};

/** Values by column; the server decides their types. */
export type Row = Readonly<Record<string, unknown>>;

/** What a statement returns: its rows, or why the server refuses it, in the server's words. */
export type Result = {rows: readonly Row[]} | {refusal: string};

/** The next step for a server that allows this user only to read. */
export const mayWrite =
  'remove readonly=true and http.security.readonly=true from the server’s settings, or let its user create checkpoints';

/** For every statement except CHECKPOINT CREATE: they only read what the server has in memory. */
const timeoutMs = 30_000;

/** A list of 100,000 tables is 30 MB. Whatever sends more is not QuestDB, and must not fill the memory. */
const mostBytes = 256 * 1024 * 1024;

/** One QuestDB server behind its REST interface, `GET /exec`. */
export class QuestDbHttp {
  /** Without a user and a password. */
  readonly url: string;
  readonly #headers: Record<string, string>;

  /** @throws BkpError `USAGE` when the address is not an http(s) URL, or a user has no password */
  constructor(options: HttpOptions) {
    const url = parseUrl(options.http);
    const user = options.user ?? (url.username === '' ? undefined : decodeURIComponent(url.username));
    const password = options.password ?? (url.password === '' ? undefined : decodeURIComponent(url.password));
    url.username = '';
    url.password = '';
    this.url = url.href.replace(/\/$/, '');
    this.#headers = authorization({...options, user, password});
  }

  /** @throws BkpError `SOURCE_UNAVAILABLE`, also when the server refuses the statement */
  async rows(sql: string): Promise<readonly Row[]> {
    const result = await this.ask(sql);
    if ('rows' in result) return result.rows;
    throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${this.url} refuses ${sql}: ${result.refusal}`, {
      next: 'check the version of the server and the rights of the user',
    });
  }

  /**
   * @param options.rows at most this many are returned
   * @param options.signal ends the wait
   * @throws BkpError `SOURCE_UNAVAILABLE`: no answer, not QuestDB, or the credentials are rejected
   */
  async ask(
    sql: string,
    limitMs: number = timeoutMs,
    {rows, signal}: {rows?: number; signal?: AbortSignal} = {},
  ): Promise<Result> {
    const limit = rows === undefined ? {} : {limit: `0,${rows}`};
    const url = `${this.url}/exec?${new URLSearchParams({query: sql, ...limit})}`;
    const {status, body} = await this.#get(url, limitMs, signal);
    const result = parseResult(body);
    if (status === 401) {
      throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${this.url} does not accept these credentials`, {
        cause: `HTTP ${status}: ${body.slice(0, 200)}`,
        next:
          'set user= of the source to http.user of the server and source.password to http.password, ' +
          'or set source.token',
      });
    }
    // A read-only server refuses with status 403 and the same body that it sends with 400 for other reasons.
    if (result !== undefined) return result;
    if (status === 403) {
      throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${this.url} does not allow ${sql}`, {
        cause: `HTTP ${status}: ${body.slice(0, 200)}`,
        next: mayWrite,
      });
    }
    throw this.#isNot(`HTTP ${status}: ${body.slice(0, 200)}`);
  }

  /** Without following redirects, which could carry the credentials to another server. */
  async #get(url: string, limitMs: number, ended?: AbortSignal): Promise<{status: number; body: string}> {
    const late = AbortSignal.timeout(limitMs);
    const signal = ended === undefined ? late : AbortSignal.any([late, ended]);
    try {
      // A connection of its own: the server may have closed one that was kept since the last statement, hours ago.
      const request = clientOf(url).get(url, {headers: this.#headers, agent: false, signal});
      const [response] = (await once(request, 'response', {signal})) as [IncomingMessage];
      const parts: Buffer[] = [];
      let bytes = 0;
      for await (const part of response as AsyncIterable<Buffer>) {
        bytes += part.length;
        if (bytes > mostBytes) throw this.#isNot(`it sends more than ${mostBytes} bytes`);
        parts.push(part);
      }
      return {status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8')};
    } catch (error) {
      if (error instanceof BkpError) throw error;
      throw this.#unreachable(late.aborted ? `no answer within ${limitMs / 1000} s` : error);
    }
  }

  #isNot(cause: string): BkpError {
    return new BkpError('SOURCE_UNAVAILABLE', `the server at ${this.url} is not QuestDB`, {
      cause,
      next: 'set http= of the source to the address of its web console',
    });
  }

  #unreachable(cause: unknown): BkpError {
    return new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${this.url} does not answer`, {
      cause,
      next: 'start the server, or check http= of the source; to back up a stopped server, set offline=true',
      retryable: true,
    });
  }
}

/**
 * Node's own client: loading the one of `fetch` takes as long as half the start of Node, and so does `import` of
 * node:http, which reads each of its exports.
 */
const clientOf = (url: string) => process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && ['http:', 'https:'].includes(url.protocol) && url.search === '' && url.hash === '')
    return url;
  throw new BkpError('USAGE', 'source: http is not the address of a server', {
    next: 'write http=http://127.0.0.1:9000',
  });
}

function authorization({token, user, password}: Omit<HttpOptions, 'http'>): Record<string, string> {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  else if (user !== undefined && password !== undefined) {
    headers.authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  } else if (user !== undefined || password !== undefined) {
    throw new BkpError('USAGE', 'source: user and password belong together', {next: 'set both, or token='});
  }
  return headers;
}

/** Rows, as `{columns: [{name}], dataset: [[…]]}`. */
const rowsSchema = v.object({columns: v.array(v.object({name: text})), dataset: v.array(v.array(v.unknown()))});
/** A statement without rows, as `{ddl|dml: "OK"}`. */
const doneSchema = v.union([v.object({ddl: text}), v.object({dml: text})]);
const refusalSchema = v.object({error: text});

/** @returns undefined for a body that no QuestDB server sends */
function parseResult(json: string): Result | undefined {
  let body: unknown;
  try {
    body = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (v.is(refusalSchema, body)) return {refusal: body.error};
  if (v.is(doneSchema, body)) return {rows: []};
  if (!v.is(rowsSchema, body)) return undefined;
  const names = body.columns.map(({name}) => name);
  return {rows: body.dataset.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])))};
}

/** `unknown` when the server states no version. @throws BkpError `SOURCE_UNAVAILABLE` */
export async function serverVersion(http: QuestDbHttp): Promise<string> {
  const [row] = await http.rows('SELECT build() AS build');
  return /QuestDB (?:Enterprise )?(\d+(?:\.\d+)+\S*?),/.exec(String(row?.build))?.[1] ?? 'unknown';
}

/** @returns microseconds since 1970; undefined for a value that is not a timestamp */
export function parseMicros(value: unknown): number | undefined {
  return typeof value === 'string' ? microsOf(value) : undefined;
}
