import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {BkpError, didYouMean} from '../errors/index.ts';

/** A database, by what its own driver needs; never a secret. Paths are absolute. */
export type SourceAddress =
  | {scheme: 'sqlite'; path: string}
  | {
      scheme: 'questdb';
      /** The folder with `conf` and `db`. */
      root: string;
      /** URL of the server's REST interface; absent: the usual one on this machine. */
      http?: string;
      user?: string;
      /** The server is stopped: its files are read as they lie there. */
      offline: boolean;
    };

const known = ['sqlite', 'questdb'];
const schemes = [...known, 'postgres'];
const accepted = 'sqlite::path=./app.db, simply ./app.db, or questdb::root=DIR;http=URL';

/**
 * Reads what a user types for a database: `sqlite::path=./app.db`, `./app.db`, `/srv/app.sqlite`, `sqlite:///srv/app.db`,
 * `file:app.db`, `questdb::root=/var/lib/questdb;http=http://127.0.0.1:9000`. Nothing need be there.
 * @param cwd what a relative path starts from
 * @throws BkpError `USAGE` | `UNSUPPORTED` (a database that only other versions know)
 */
export function parseSource(text: string, cwd: string): SourceAddress {
  const settings = /^(\w+)::(.*)$/s.exec(text);
  if (settings) return parseSettings(settings[1]!, settings[2]!, cwd);
  const url = /^([a-z][a-z0-9+.-]+):(.*)$/is.exec(text);
  if (url) return parseUrl(url[1]!, url[2]!, text, cwd);
  return sqliteAt(text, cwd);
}

/** The address as text, for people and for the configuration; {@link parseSource} reads it back. */
export function describeSource(address: SourceAddress): string {
  if (address.scheme === 'questdb') {
    const {root, http, user, offline} = address;
    const pairs = [
      ['root', root],
      ['http', http],
      ['user', user],
      ['offline', offline ? 'true' : undefined],
    ] as const;
    return `questdb::${pairs.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`])).join(';')}`;
  }
  const {path} = address;
  // Between settings a semicolon divides, and nothing escapes it; the plain path is then the only spelling.
  return path.includes(';') ? path : `sqlite::path=${path}`;
}

function parseSettings(scheme: string, text: string, cwd: string): SourceAddress {
  checkScheme(scheme);
  const values = readSettings(scheme, text, scheme === 'questdb' ? ['root', 'http', 'user', 'offline'] : ['path']);
  if (scheme === 'questdb') return questdbAt(values, cwd);
  const path = values.get('path');
  if (path === undefined) throw usage('source: the path of the database is missing', `write ${accepted}`);
  return sqliteAt(path, cwd);
}

function readSettings(scheme: string, text: string, keys: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const part of text.split(';').filter((setting) => setting.trim() !== '')) {
    const equals = part.indexOf('=');
    if (equals === -1) {
      throw usage(
        `source: ${JSON.stringify(part)} is no setting: there is no = in it`,
        `write ${scheme}::key=value;key=value`,
      );
    }
    const key = part.slice(0, equals).trim();
    if (key === 'password' || key === 'token') {
      throw usage(
        `source: a ${key} does not stand in the source, which operations keep`,
        `bkp config set source.${key} -`,
      );
    }
    if (!keys.includes(key)) throw usage(`source: ${scheme} has no setting ${JSON.stringify(key)}`, meant(key, keys));
    if (values.has(key)) throw usage(`source: ${key} stands there twice`, 'keep one of the two');
    values.set(key, part.slice(equals + 1));
  }
  return values;
}

function questdbAt(values: ReadonlyMap<string, string>, cwd: string): SourceAddress {
  const root = values.get('root') ?? '';
  const offline = values.get('offline') ?? 'false';
  if (root.trim() === '') throw usage('source: the root of the QuestDB server is missing', 'write questdb::root=DIR');
  if (offline !== 'true' && offline !== 'false') throw usage('source: offline is true or false', 'write offline=true');
  const [http, user] = [values.get('http'), values.get('user')];
  if (http !== undefined && !/^https?:\/\/[^\s/@]+\/?$/.test(http)) {
    throw usage('source: http is no URL of a server', 'write http=http://127.0.0.1:9000');
  }
  return {
    scheme: 'questdb',
    root: absolutePath(root, cwd, 'source'),
    ...(http === undefined ? {} : {http: http.replace(/\/$/, '')}),
    ...(user === undefined ? {} : {user}),
    offline: offline === 'true',
  };
}

/** `sqlite:///srv/app.db`, `sqlite:app.db`, and the same with `file:`. */
function parseUrl(scheme: string, rest: string, text: string, cwd: string): SourceAddress {
  const named = scheme.toLowerCase();
  if (named === 'questdb') throw usage('source: QuestDB has no such URL', 'write questdb::root=DIR;http=URL');
  if (named !== 'file') checkScheme(named);
  if (/[?#]/.test(rest))
    throw usage(`source: ${text} has parameters, which bkp does not know`, 'leave out ? and what follows it');
  if (rest.startsWith('//') && !rest.startsWith('///')) {
    throw usage(`source: ${text} names a host`, `for a file, write ${named}:///absolute/path or a plain path`);
  }
  try {
    return sqliteAt(rest.startsWith('/') ? fileURLToPath(`file:${rest}`) : decodeURIComponent(rest), cwd);
  } catch (error) {
    if (error instanceof BkpError) throw error;
    throw new BkpError('USAGE', `source: ${text} is no valid address`, {cause: error, next: `write ${accepted}`});
  }
}

function checkScheme(scheme: string): void {
  if (known.includes(scheme)) return;
  if (schemes.includes(scheme === 'postgresql' ? 'postgres' : scheme)) {
    throw new BkpError('UNSUPPORTED', `source: this version knows sqlite and questdb, not ${scheme}`, {
      next: `write ${accepted}`,
    });
  }
  throw usage(`source: ${scheme} is no kind of database that bkp knows`, meant(scheme, schemes));
}

function sqliteAt(path: string, cwd: string): SourceAddress {
  if (path.trim() === '') throw usage('source: the path of the database is empty', `write ${accepted}`);
  if (path === ':memory:')
    throw usage('source: a database in memory cannot be backed up by another process', `write ${accepted}`);
  return {scheme: 'sqlite', path: absolutePath(path, cwd, 'source')};
}

/** @throws BkpError `USAGE` for a `~`, which only a shell knows how to read, and only at the start of a word */
export function absolutePath(path: string, cwd: string, what: string): string {
  if (/^~(?=[\\/]|$)/.test(path))
    throw usage(`${what}: ~ stands for no folder here`, 'write the folder out, or use $HOME');
  return resolve(cwd, path);
}

function meant(word: string, candidates: readonly string[]): string {
  const near = didYouMean(word, candidates);
  return near === undefined ? `write ${accepted}` : `did you mean ${near}?`;
}

function usage(message: string, next: string): BkpError {
  return new BkpError('USAGE', message, {next});
}
