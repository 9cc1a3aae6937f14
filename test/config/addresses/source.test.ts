import {expect, test} from 'vitest';
import {describeSource, parseSource} from '../../../src/config/index.ts';
import fc from '../../seeds/fast-check.ts';

test.each([
  ['sqlite::path=./app.db', '/work dir/app.db'],
  ['sqlite::path=/srv/app.db', '/srv/app.db'],
  ['sqlite::path=/srv/a=b.db;', '/srv/a=b.db'],
  ['./app.db', '/work dir/app.db'],
  ['app.db', '/work dir/app.db'],
  ['../x/app', '/x/app'],
  ['/srv/app.sqlite', '/srv/app.sqlite'],
  ['/srv/a;b.db', '/srv/a;b.db'],
  ['./we:ird.db', '/work dir/we:ird.db'],
  ['sqlite:///srv/app.db', '/srv/app.db'],
  ['sqlite:///srv/my%20app.db', '/srv/my app.db'],
  ['sqlite:app.db', '/work dir/app.db'],
  ['file:app.db', '/work dir/app.db'],
  ['file:/srv/app.db', '/srv/app.db'],
  ['file:///srv/app.db', '/srv/app.db'],
])('%s is the file %s', (text, path) => {
  expect(parseSource(text, '/work dir')).toEqual({scheme: 'sqlite', path});
});

const write =
  'write sqlite::path=./app.db, simply ./app.db, postgres://user@host/database, or questdb::root=DIR;http=URL';
const writeSqlite = 'write sqlite::path=./app.db, or simply ./app.db';

test.each([
  ['sqlte::path=x', 'USAGE', 'source: sqlte is not a kind of database that bkp knows', 'did you mean sqlite?'],
  ['mysql://host/db', 'USAGE', 'source: mysql is not a kind of database that bkp knows', write],
  ['questdb::http=http://a:1', 'USAGE', 'source: the root of the QuestDB server is missing', 'write questdb::root=DIR'],
  ['questdb::root=/q;http=a:1', 'USAGE', 'source: http is not the URL of a server', 'write http=http://127.0.0.1:9000'],
  ['questdb::root=/q;offline=yes', 'USAGE', 'source: offline is true or false', 'write offline=true'],
  ['questdb::root=/q;usr=x', 'USAGE', 'source: questdb has no setting "usr"', 'did you mean user?'],
  [
    'questdb::root=/q;password=geheim',
    'USAGE',
    'source: operations keep the text of the source, so a password cannot be part of it',
    'bkp config set source.password -',
  ],
  ['questdb://host/q', 'USAGE', 'source: questdb has no URLs', 'write questdb::root=DIR;http=URL'],
  ['sqlite::pth=x', 'USAGE', 'source: sqlite has no setting "pth"', 'did you mean path?'],
  ['sqlite::path=x;mode=ro', 'USAGE', 'source: sqlite has no setting "mode"', writeSqlite],
  ['sqlite::path=x;path=y', 'USAGE', 'source: path is set twice', 'keep one of the two'],
  [
    'sqlite::app.db',
    'USAGE',
    'source: "app.db" is not a setting: it contains no =',
    'write sqlite::key=value;key=value',
  ],
  ['sqlite::', 'USAGE', 'source: the path of the database is missing', writeSqlite],
  ['sqlite::path=', 'USAGE', 'source: the path of the database is empty', writeSqlite],
  ['', 'USAGE', 'source: the path of the database is empty', writeSqlite],
  [':memory:', 'USAGE', 'source: another process cannot back up a database in memory', writeSqlite],
  [
    'sqlite::path=~/app.db',
    'USAGE',
    'source: ~ does not stand for a folder here',
    'write the folder out, or use $HOME',
  ],
  [
    'sqlite://app.db',
    'USAGE',
    'source: sqlite://app.db names a host',
    'for a file, write sqlite:///absolute/path or a plain path',
  ],
  [
    'file:app.db?mode=ro',
    'USAGE',
    'source: file:app.db?mode=ro has parameters, which bkp does not know',
    'leave out ? and what follows it',
  ],
  ['file:%zz', 'USAGE', 'source: file:%zz is not a valid address', writeSqlite],
])('parseSource refuses %s', (text, code, message, next) => {
  expect(() => parseSource(text, '/')).toThrow(expect.objectContaining({code, message, next}));
});

test.each([
  ['questdb::root=/q', {root: '/q', offline: false}],
  [
    'questdb::root=q;http=http://127.0.0.1:9000/;user=ann',
    {root: '/work/q', http: 'http://127.0.0.1:9000', user: 'ann'},
  ],
  ['questdb::root=/q;offline=true;', {root: '/q', offline: true}],
])('%s is the address of a QuestDB server, and describeSource gives it back', (text, address) => {
  const parsed = parseSource(text, '/work');
  expect(parsed).toEqual({scheme: 'questdb', offline: false, ...address});
  expect(parseSource(describeSource(parsed), '/elsewhere')).toEqual(parsed);
});

test('describeSource gives a text that parseSource reads back as the same address, in any directory', () => {
  const path = fc.string({minLength: 1}).map((name) => `/${name.replaceAll('/', '_')}`);
  fc.assert(
    fc.property(path, (file) => {
      const address = parseSource(file, '/a');
      expect(parseSource(describeSource(address), '/b')).toEqual(address);
    }),
  );
});
