import * as v from 'valibot';
import {BkpError} from '../../../errors/index.ts';
import {text} from '../../../lib/schema.ts';
import {microsOf} from '../../../lib/time.ts';

export type HttpOptions = {
  /** `http://127.0.0.1:9000`; may hold user and password, which are taken out of it. */
  http: string;
  user?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
};

/** Values by column; the server decides their types. */
export type Row = Readonly<Record<string, unknown>>;

/** What a statement returns: its rows, or why the server refuses it, in the server's words. */
export type Result = {rows: readonly Row[]} | {refusal: string};

/** What to do about a server that lets this user read only. */
export const mayWrite =
  'take readonly=true or http.security.readonly=true out of the server’s settings, or give its user the right to make checkpoints';

/** Until any statement but CHECKPOINT CREATE is answered: they read what the server has in memory. */
const answerMs = 30_000;

/** One QuestDB server behind its REST interface, `GET /exec`. */
export class QuestDbHttp {
  /** Without user and password. */
  readonly url: string;
  readonly #headers: Record<string, string>;

  /** @throws BkpError `USAGE` for what is no http(s) URL, or a user without a password */
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
      next: 'look at the version of the server and at the rights of the user',
    });
  }

  /** @throws BkpError `SOURCE_UNAVAILABLE`: away, not QuestDB, or the credentials are not accepted */
  async ask(sql: string, timeoutMs: number = answerMs): Promise<Result> {
    let response: Response;
    let body: string;
    try {
      response = await fetch(`${this.url}/exec?${new URLSearchParams({query: sql})}`, {
        headers: this.#headers,
        // A redirect could carry the credentials to another server.
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      });
      body = await response.text();
    } catch (error) {
      throw this.#away(error, timeoutMs);
    }
    const result = parseResult(body);
    if (response.status === 401) {
      throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${this.url} does not accept these credentials`, {
        cause: `HTTP ${response.status}: ${body.slice(0, 200)}`,
        next: 'set user= and password=, or token=, of the source to what the server has in http.user and http.password',
      });
    }
    // A server that is read-only refuses with 403 what it would refuse with 400 for another reason.
    if (result !== undefined) return result;
    if (response.status === 403) {
      throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${this.url} does not allow ${sql}`, {
        cause: `HTTP ${response.status}: ${body.slice(0, 200)}`,
        next: mayWrite,
      });
    }
    throw new BkpError('SOURCE_UNAVAILABLE', `what answers at ${this.url} is not QuestDB`, {
      cause: `HTTP ${response.status}: ${body.slice(0, 200)}`,
      next: 'set http= of the source to the address of its web console',
    });
  }

  #away(error: unknown, timeoutMs: number): BkpError {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    const below = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${this.url} does not answer`, {
      cause: isLate ? `no answer within ${timeoutMs / 1000} s` : below,
      next: 'start the server, or look at http= of the source; a stopped server is backed up with offline=true',
      retryable: true,
    });
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && ['http:', 'https:'].includes(url.protocol) && url.search === '' && url.hash === '')
    return url;
  throw new BkpError('USAGE', 'source: http is no address of a server', {next: 'write http=http://127.0.0.1:9000'});
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

/** @returns microseconds since 1970; undefined for anything but a timestamp */
export function parseMicros(value: unknown): number | undefined {
  return typeof value === 'string' ? microsOf(value) : undefined;
}
