import {fileURLToPath} from 'node:url';
import {BkpError} from '../../errors/index.ts';
import {absolutePath} from './absolute-path.ts';
import {type SourceSyntax, sourceFault} from './source-syntax.ts';

export type SqliteAddress = {scheme: 'sqlite'; path: string};

const example = 'sqlite::path=./app.db, or simply ./app.db';

export const sqliteSyntax: SourceSyntax<SqliteAddress> = {
  example,
  keys: ['path'],

  fromSettings(values, cwd) {
    const path = values.get('path');
    if (path === undefined) throw sourceFault('the path of the database is missing', `write ${example}`);
    return sqliteAt(path, cwd);
  },

  /** `sqlite:///srv/app.db`, `sqlite:app.db`, and the same with `file:`. */
  fromUrl({scheme, rest}, cwd) {
    const text = `${scheme}:${rest}`;
    if (/[?#]/.test(rest)) {
      throw sourceFault(`${text} has parameters, which bkp does not know`, 'leave out ? and what follows it');
    }
    if (rest.startsWith('//') && !rest.startsWith('///')) {
      const next = `for a file, write ${scheme.toLowerCase()}:///absolute/path or a plain path`;
      throw sourceFault(`${text} names a host`, next);
    }
    try {
      return sqliteAt(rest.startsWith('/') ? fileURLToPath(`file:${rest}`) : decodeURIComponent(rest), cwd);
    } catch (error) {
      if (error instanceof BkpError) throw error;
      throw new BkpError('USAGE', `source: ${text} is not a valid address`, {cause: error, next: `write ${example}`});
    }
  },

  describe({path}) {
    // A semicolon separates settings and cannot be escaped: a path that contains one is written as a plain path.
    return path.includes(';') ? path : `sqlite::path=${path}`;
  },
};

export function sqliteAt(path: string, cwd: string): SqliteAddress {
  if (path.trim() === '') throw sourceFault('the path of the database is empty', `write ${example}`);
  if (path === ':memory:') {
    throw sourceFault('another process cannot back up a database in memory', `write ${example}`);
  }
  return {scheme: 'sqlite', path: absolutePath(path, cwd, 'source')};
}
