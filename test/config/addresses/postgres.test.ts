import {expect, test} from 'vitest';
import {parameterNames} from '../../../src/config/addresses/postgres/parameters.ts';
import {describeSource, parseSource} from '../../../src/config/index.ts';
import fc from '../../seeds/fast-check.ts';

const parametersOf = (text: string) => {
  const address = parseSource(text, '/work');
  return address.scheme === 'postgres' ? address.parameters : undefined;
};

test.each([
  ['postgres://app@db.internal/shop', {user: 'app', host: 'db.internal', dbname: 'shop'}],
  [
    'postgresql://db.internal:6432/shop?sslmode=verify-full',
    {
      host: 'db.internal',
      port: '6432',
      dbname: 'shop',
      sslmode: 'verify-full',
    },
  ],
  ['postgres:///shop?host=/run/postgresql', {dbname: 'shop', host: '/run/postgresql'}],
  ['postgres://%2Frun%2Fpostgresql/shop', {dbname: 'shop', host: '/run/postgresql'}],
  [
    'postgres://a:1,b:2/shop?target_session_attrs=read-write',
    {
      host: 'a,b',
      port: '1,2',
      dbname: 'shop',
      target_session_attrs: 'read-write',
    },
  ],
  ['postgres://[::1]:5433/shop', {host: '::1', port: '5433', dbname: 'shop'}],
  ['postgres://us%40er@h/d%2Fb', {user: 'us@er', host: 'h', dbname: 'd/b'}],
  ['postgres::url=postgres://h/shop;lockTimeout=9', {host: 'h', dbname: 'shop'}],
  ['postgres::service=prod', {service: 'prod'}],
  ['service=prod', {service: 'prod'}],
  ["host=db.internal dbname='my shop' user=o\\'neil", {host: 'db.internal', dbname: 'my shop', user: "o'neil"}],
  ['postgres::host=db;dbname=shop;sslcert=client.crt', {host: 'db', dbname: 'shop', sslcert: '/work/client.crt'}],
  ['postgres://h/shop?sslrootcert=ca.crt', {host: 'h', dbname: 'shop', sslrootcert: '/work/ca.crt'}],
  ['postgres://h/shop?sslrootcert=system', {host: 'h', dbname: 'shop', sslrootcert: 'system'}],
  ['postgres://h/shop?application_name=x&ssl=true', {host: 'h', dbname: 'shop', sslmode: 'require'}],
])('%s is a PostgreSQL database', (text, parameters) => {
  expect(parametersOf(text)).toEqual(parameters);
});

test('settings of bkp stand beside the URL, and the text reads back', () => {
  const text = 'postgres::url=postgres://app@db/shop;pgBin=bin;lockTimeout=10;tracking=scan';
  const address = parseSource(text, '/work');
  expect(address).toEqual({
    scheme: 'postgres',
    parameters: {user: 'app', host: 'db', dbname: 'shop'},
    pgBin: '/work/bin',
    lockTimeout: 10,
    tracking: 'scan',
  });
  expect(parseSource(describeSource(address), '/')).toEqual(address);
});

test.each([
  ['postgres://ann:geheim@host/shop', 'a password cannot be part of it'],
  ['postgres://host/shop?password=geheim', 'a password cannot be part of it'],
  ['host=h password=geheim', 'a password cannot be part of it'],
  ['postgres::host=h;password=geheim', 'a password cannot be part of it'],
  ['password=geheim host=h', 'a password cannot be part of it'],
])('%s is refused, and the password is not shown', (text, message) => {
  expect(() => parseSource(text, '/')).toThrow(message);
  expect(() => parseSource(text, '/')).not.toThrow('geheim');
});

test.each([
  ['postgres://h/shop?sslmode=on', 'sslmode cannot be "on"', 'write one of disable, allow, prefer'],
  ['postgres://h/shop?sslmod=require', 'no connection parameter "sslmod"', 'did you mean sslmode?'],
  ['postgres://h:99999/shop', '"99999" is not a port', 'write a number from 1 to 65535'],
  ['postgres://h/shop?host=x', 'host is set twice', 'keep one of the two'],
  ['postgres:shop', 'this is not the URL of a PostgreSQL database', 'write postgres://user@host:5432/database'],
  ['postgres::url=mysql://h/shop', 'url is not the URL of a PostgreSQL database', 'write url=postgres://user@host'],
  ['postgres::url=postgres://h/d;host=x', 'url and host cannot both be set', 'put host into the url, after ?'],
  ['postgres::host=h;tracking=wal', 'tracking cannot be "wal"', 'write one of auto, triggers, scan'],
  ['postgres::host=h;lockTimeout=0', 'lockTimeout is not a number from 1 to 3600', 'write lockTimeout=5'],
  ["host='unclosed dbname=x", 'what follows character 0 is not keyword=value', 'write host=db.internal'],
])('%s is refused with a next step', (text, message, next) => {
  expect(() => parseSource(text, '/')).toThrow(
    expect.objectContaining({
      code: 'USAGE',
      message: expect.stringContaining(message),
      next: expect.stringContaining(next),
    }),
  );
});

test('every address reads back as itself', () => {
  const free = ['user', 'dbname', 'service', 'options'] as const;
  const value = fc.string({unit: 'grapheme', minLength: 1, maxLength: 12}).filter((text) => !text.includes('\0'));
  const parameters = fc.record(
    {
      ...Object.fromEntries(free.map((name) => [name, value])),
      host: fc.constantFrom('db', '/run/pg', 'a,b', '::1', '/run/a b,c'),
      port: fc.constantFrom('5432', '1,2'),
      sslmode: fc.constantFrom('require', 'verify-full'),
    },
    {requiredKeys: []},
  );
  fc.assert(
    fc.property(parameters, (given) => {
      const address = {scheme: 'postgres' as const, parameters: given};
      expect(parseSource(describeSource(address), '/')).toEqual(address);
    }),
  );
  expect(parameterNames).toContain('user');
});
