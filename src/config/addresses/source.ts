import {didYouMean} from '../../errors/index.ts';
import {isConninfo} from './postgres/conninfo.ts';
import {type PostgresAddress, postgresAt, postgresSyntax} from './postgres/postgres.ts';
import {type QuestDbAddress, questdbSyntax} from './questdb.ts';
import {type SourceSyntax, sourceFault} from './source-syntax.ts';
import {type SqliteAddress, sqliteAt, sqliteSyntax} from './sqlite.ts';

/** A database, described by what its driver needs. It never contains a secret; its paths are absolute. */
export type SourceAddress = SqliteAddress | QuestDbAddress | PostgresAddress;

/** One row for each product. */
const syntaxes: Readonly<Record<SourceAddress['scheme'], SourceSyntax<SourceAddress>>> = {
  sqlite: sqliteSyntax,
  questdb: questdbSyntax,
  postgres: postgresSyntax,
};
const known = Object.keys(syntaxes);
/** Other names of a scheme. */
const aliases: Readonly<Record<string, string>> = {file: 'sqlite', postgresql: 'postgres'};

export const acceptedSources =
  'sqlite::path=./app.db, simply ./app.db, postgres://user@host/database, or questdb::root=DIR;http=URL';

/**
 * Reads what a user types for a database: `sqlite::path=./app.db`, `./app.db`, `/srv/app.sqlite`,
 * `sqlite:///srv/app.db`, `file:app.db`, `questdb::root=/var/lib/questdb;http=http://127.0.0.1:9000`,
 * `postgres://app@db.internal/shop`, `service=prod`, `host=db.internal dbname=shop`. The database need not exist.
 * @param cwd the directory that a relative path starts from
 * @throws BkpError `USAGE`
 */
export function parseSource(text: string, cwd: string): SourceAddress {
  const settings = /^(\w+)::(.*)$/s.exec(text);
  if (settings) {
    const [scheme, rest] = [settings[1]!, settings[2]!];
    const syntax = syntaxOf(aliases[scheme] ?? scheme);
    return syntax.fromSettings(readSettings(scheme, rest, syntax), cwd);
  }
  const url = /^([a-z][a-z0-9+.-]+):(.*)$/is.exec(text);
  if (url === null) return isConninfo(text) ? postgresAt(text, cwd) : sqliteAt(text, cwd);
  const [scheme, rest] = [url[1]!, url[2]!];
  const named = scheme.toLowerCase();
  const syntax = syntaxOf(aliases[named] ?? named);
  if (syntax.fromUrl === undefined) throw sourceFault(`${named} has no URLs`, `write ${syntax.example}`);
  return syntax.fromUrl({scheme, rest}, cwd);
}

/** The address as text, for people and for the configuration; {@link parseSource} reads it back. */
export function describeSource(address: SourceAddress): string {
  return syntaxes[address.scheme].describe(address);
}

/** @throws BkpError `USAGE` */
function syntaxOf(scheme: string): SourceSyntax<SourceAddress> {
  if (isKnown(scheme)) return syntaxes[scheme];
  const next = meant(scheme, [...known, 'postgresql'], acceptedSources);
  throw sourceFault(`${scheme} is not a kind of database that bkp knows`, next);
}

function isKnown(scheme: string): scheme is SourceAddress['scheme'] {
  return Object.hasOwn(syntaxes, scheme);
}

function readSettings(
  scheme: string,
  text: string,
  {keys, example}: Pick<SourceSyntax<never>, 'keys' | 'example'>,
): Map<string, string> {
  const values = new Map<string, string>();
  for (const part of text.split(';').filter((setting) => setting.trim() !== '')) {
    const equals = part.indexOf('=');
    if (equals === -1) {
      throw sourceFault(
        `${JSON.stringify(part)} is not a setting: it contains no =`,
        `write ${scheme}::key=value;key=value`,
      );
    }
    const key = part.slice(0, equals).trim();
    if (key === 'password' || key === 'token') {
      throw sourceFault(
        `operations keep the text of the source, so a ${key} cannot be part of it`,
        `bkp config set source.${key} -`,
      );
    }
    if (!keys.includes(key)) {
      throw sourceFault(`${scheme} has no setting ${JSON.stringify(key)}`, meant(key, keys, example));
    }
    if (values.has(key)) throw sourceFault(`${key} is set twice`, 'keep one of the two');
    values.set(key, part.slice(equals + 1));
  }
  return values;
}

function meant(word: string, candidates: readonly string[], accepted: string): string {
  const near = didYouMean(word, candidates);
  return near === undefined ? `write ${accepted}` : `did you mean ${near}?`;
}
