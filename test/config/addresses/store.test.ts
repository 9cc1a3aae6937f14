import {inspect} from 'node:util';
import {expect, test} from 'vitest';
import {describeStore, parseStore, type StoreAddress, sameStore} from '../../../src/config/index.ts';
import fc from '../../seeds/fast-check.ts';

const plain = {kind: 's3', bucket: 'shop', root: '', caBuiltinRoots: true} as const;

test.each<[string, StoreAddress]>([
  ['s3::bucket=shop', plain],
  ['S3::bucket=shop;', plain],
  ['s3://shop', plain],
  ['s3://shop/', plain],
  ['s3://shop/a//b/', {...plain, root: 'a/b'}],
  ['s3://shop/50%25', {...plain, root: '50%25'}],
  ['s3::bucket=shop;root=/a/b/;\n', {...plain, root: 'a/b'}],
  ['s3::bucket=shop;root=;', plain],
  ['s3::root=a;bucket=Old_Bucket', {...plain, bucket: 'Old_Bucket', root: 'a'}],
  ['s3::\n  bucket=shop;\n  region=eu-central-1 ;\n', {...plain, region: 'eu-central-1'}],
  ['s3::bucket=shop;endpoint=http://127.0.0.1:9000/', {...plain, endpoint: 'http://127.0.0.1:9000'}],
  ['s3::bucket=shop;endpoint=HTTPS://S3.Example.org:443', {...plain, endpoint: 'https://s3.example.org'}],
  ['s3::bucket=shop;endpoint=https://h/storage/v1/s3', {...plain, endpoint: 'https://h/storage/v1/s3'}],
  ['s3::bucket=shop;endpoint=http://[::1]:9000', {...plain, endpoint: 'http://[::1]:9000'}],
  ['s3::bucket=shop;ca_cert_file=ca.pem', {...plain, caCertFile: '/work dir/ca.pem'}],
  [
    's3::bucket=shop;ca_cert_file=/etc/a=b.pem;ca_builtin_roots=false',
    {...plain, caCertFile: '/etc/a=b.pem', caBuiltinRoots: false},
  ],
  ['s3::bucket=shop;ca_builtin_roots=true', plain],
  ['fs::root=/backups', {kind: 'directory', root: '/backups'}],
  ['fs::root=../b;atomic_write_dir=/tmp/x;', {kind: 'directory', root: '/b'}],
])('parseStore reads %j', (text, address) => {
  expect(parseStore(text, '/work dir')).toEqual({address});
});

test('parseStore reads credentials, and JSON and inspect hide them', () => {
  const parsed = parseStore('s3::bucket=b1;access_key_id=AKID;secret_access_key=S=cr/et+;session_token=TOK==;', '/');
  const {credentials} = parsed;
  expect([credentials?.accessKeyId, credentials?.secretAccessKey, credentials?.sessionToken]).toEqual([
    'AKID',
    'S=cr/et+',
    'TOK==',
  ]);
  const shown = [JSON.stringify(parsed), inspect(parsed, {depth: 9, showHidden: true}), String(credentials)];
  shown.push(inspect({...parsed, more: {...credentials}}, {showHidden: true}), `${describeStore(parsed.address)}`);
  for (const text of shown) expect(text).not.toMatch(/AKID|cr\/et|TOK/);
});

const write = 'write s3::bucket=NAME;root=PREFIX, s3://NAME/PREFIX, or fs::root=DIR';

test.each([
  ['', 'the text is empty', write],
  ['/backups', 'the text is not the address of a store', write],
  ['s3:/shop', 'the text is not the address of a store', write],
  ['ftp::root=x', 'the word before :: is not a kind of store that bkp knows', write],
  ['s3::', 'the bucket is missing', 'write s3::bucket=NAME;…'],
  ['s3::region=eu', 'the bucket is missing', 'write s3::bucket=NAME;…'],
  ['s3::bucket=', 'bucket is empty', 'write its value, or leave bucket out'],
  ['s3::bucket=a b', 'the bucket is not the name of a bucket', 'write only its name: letters, digits, dots and -'],
  ['s3::bukcet=shop', 'setting 1 of the text after s3:: has a key that s3 does not have', 'did you mean bucket?'],
  [
    's3::bucket=shop;acl=x',
    'setting 2 of the text after s3:: has a key that s3 does not have',
    'its settings are bucket, region, endpoint, root, access_key_id, secret_access_key, ' +
      'session_token, ca_cert_file, ca_builtin_roots',
  ],
  ['s3::bucket=shop;bucket=shop', 'bucket is set twice', 'keep one of the two'],
  [
    's3::bucket=shop;x',
    'setting 2 of the text after s3:: contains no =',
    'write s3::key=value;key=value; a value cannot contain a ;',
  ],
  [
    's3::bucket=shop;;root=a',
    'setting 2 of the text after s3:: is empty',
    'write one ; between two settings; a value cannot contain a ;',
  ],
  ['s3::bucket=shop;region=eu central', 'the region is not the name of a region', 'write one like eu-central-1'],
  [
    's3::bucket=shop;endpoint=localhost:9000',
    'the endpoint is not a URL',
    'write endpoint=https://HOST:PORT, or http:// for a server without TLS',
  ],
  [
    's3::bucket=shop;ca_builtin_roots=false',
    'ca_builtin_roots=false leaves no certificate to trust',
    'add ca_cert_file=FILE',
  ],
  [
    's3::bucket=shop;ca_builtin_roots=no',
    'ca_builtin_roots is neither true nor false',
    'write ca_builtin_roots=true or =false',
  ],
  [
    's3::bucket=shop;root=a/../b',
    'the root has a part . or .., which has no meaning in a bucket',
    'write the complete prefix, like backups/shop',
  ],
  ['s3://shop/ü', 'the root has a character that bkp does not use in keys', 'use only letters, digits, - . _ ~ and /'],
  ['s3://', 'the bucket is not the name of a bucket', 'write only its name: letters, digits, dots and -'],
  [
    's3://shop?region=eu',
    's3:// takes a bucket and a prefix, but no parameters',
    'write s3::bucket=NAME;root=PREFIX;key=value',
  ],
  ['fs::root=', 'the directory is missing', 'write fs::root=DIR'],
  ['fs::root=~/b', '~ does not stand for a folder here', 'write the folder out, or use $HOME'],
  [
    'fs::ca_cert_file=x',
    'setting 1 of the text after fs:: has a key that fs does not have',
    'its settings are root, atomic_write_dir',
  ],
])('parseStore refuses %j', (text, message, next) => {
  const expected = {code: 'USAGE', message: `store: ${message}`, next};
  expect(() => parseStore(text, '/')).toThrow(expect.objectContaining(expected));
});

test('parseStore refuses other kinds of stores, and paths that contain a semicolon', () => {
  expect(() => parseStore('azblob::container=x', '/')).toThrow(
    expect.objectContaining({code: 'UNSUPPORTED', message: 'store: this version knows s3 and fs, not azblob'}),
  );
  for (const text of ['fs::root=x', 's3::bucket=shop;ca_cert_file=x']) {
    expect(() => parseStore(text, '/a;b')).toThrow('contains a ;, which separates settings');
  }
});

const secret = 'wJalrXUtnFEMI';

test.each([
  `s3://AKIA:${secret}@shop/prefix`,
  `s3://${secret}@shop`,
  `s3::bucket=shop;secret_access_key=${secret}`,
  `s3::bucket=shop;access_key_id=${secret}`,
  `s3::bucket=shop;session_token=${secret}`,
  `s3::bucket=shop;access_key_id=a;secret_access_key=${secret} x`,
  `s3::bucket=shop;access_key_id=a;secret_access_key=x;${secret}`,
  `s3::bucket=shop;access_key_id=a;secret_access_key=x;${secret}=`,
  `s3::bucket=shop;access_key_id=a;secret_access_key=x;;${secret}`,
  `s3::bucket=shop;access_key_id=a;secret_access_key ${secret}`,
  `s3::bucket=shop;access_key_id=a;secret_access_key${secret}=x`,
  `s3::bucket=shop;access_key_id=a;secret_access_kye=${secret}`,
  `s3::bucket=shop;access_key_id=a;secret_access_key=x;secret_access_key=${secret}`,
  `s3::bucket=shopsecret_access_key=${secret}`,
  `s3::bucket=shop secret_access_key=${secret}`,
  `s3::bucket=shop;region=eu;root=asecret_access_key=${secret}`,
  `s3::bucket=shop;root=a secret_access_key: ${secret}`,
  `s3::bucket=shop;region=eu/${secret}`,
  `s3::bucket=shop;access_key_id=asecret_access_key=${secret};`,
  `s3::bucket=shop;ca_cert_file=/ca.pemsecret_access_key=${secret}`,
  `s3::bucket=shop;ca_builtin_roots=${secret}`,
  `s3::bucket=shop;endpoint=http://hostsecret_access_key=${secret}`,
  `s3::bucket=shop;endpoint=http://host/secret_access_key=${secret}`,
  `s3::bucket=shop;endpoint=http://AKIA:${secret}@host`,
  `s3::bucket=shop;endpoint=http://host?key=${secret}`,
  `s3::bucket=shop;endpoint=http://host:99999/${secret}`,
  `s3::bucket=shop;endpoint=${secret}`,
  `s3:bucket=shop;secret_access_key=${secret}`,
  `${secret}`,
  `${secret}::x`,
  `fs::root=/b;secret_access_key=${secret}`,
  `fs::root=/b;${secret}`,
  `gcs::credential=${secret}`,
  ` s3 ::bucket=shop;secret_access_key=${secret}`,
])('the error for an invalid address does not contain its secret (%#)', (text) => {
  let error: unknown;
  try {
    parseStore(text, '/');
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toHaveProperty('name', 'BkpError');
  expect(inspect(error, {depth: 9, showHidden: true})).not.toContain(secret);
});

const name = (alphabet: string, maxLength: number) =>
  fc.string({unit: fc.constantFrom(...alphabet), minLength: 1, maxLength});
const path = fc
  .string({unit: fc.constantFrom(...'ab ü=.\n%~'), minLength: 1, maxLength: 8})
  .map((part) => `/x${part}`)
  .filter((absolute) => !absolute.endsWith('/..'));
const s3Address: fc.Arbitrary<StoreAddress> = fc
  .record(
    {
      bucket: name('abz09', 20).map((rest) => `b${rest}`),
      root: fc.array(
        name('aZ0~_%', 5).map((part) => `${part}.`),
        {maxLength: 3},
      ),
      region: name('eu-1', 9),
      endpoint: fc.constantFrom('http://h:9000', 'https://s3.example.org', 'http://[::1]:1', 'https://h/s3/v1'),
      caCertFile: path,
      caBuiltinRoots: fc.boolean(),
    },
    {requiredKeys: ['bucket', 'root', 'caBuiltinRoots']},
  )
  .map(({root, caBuiltinRoots, ...rest}) => ({
    kind: 's3',
    ...rest,
    root: root.join('/'),
    caBuiltinRoots: caBuiltinRoots || rest.caCertFile === undefined,
  }));
const address = fc.oneof(
  s3Address,
  path.map((root): StoreAddress => ({kind: 'directory', root})),
);

// A failing run prints its seed.
test('describeStore gives a text that parseStore reads back as the same address, in any directory', () => {
  fc.assert(
    fc.property(address, (wanted) => {
      expect(parseStore(describeStore(wanted), '/elsewhere')).toEqual({address: wanted});
      expect(sameStore(wanted, parseStore(describeStore(wanted), '/elsewhere').address)).toBe(true);
    }),
  );
});

test.each([
  ['s3://a1', 's3://a1/', true],
  ['s3://a1', 's3::bucket=a1;region=eu-west-1;access_key_id=x;secret_access_key=y', true],
  ['s3://a1', 's3::bucket=a1;endpoint=https://s3.eu-west-1.amazonaws.com', true],
  ['s3::bucket=a1;endpoint=http://h:9000', 's3::bucket=a1;endpoint=http://H:9000/;ca_cert_file=x', true],
  ['s3://a1', 's3://a2', false],
  ['s3://a1', 's3://a1/b', false],
  ['s3://a1', 's3::bucket=a1;endpoint=http://h:9000', false],
  ['s3://a1', 's3::bucket=a1;endpoint=https://s3.amazonaws.com.example.org', false],
  ['fs::root=a', 'fs::root=/a', true],
  ['fs::root=a', 'fs::root=b', false],
  ['fs::root=a', 's3://aa', false],
])('%s and %s are the same store: %s', (a, b, same) => {
  const [left, right] = [parseStore(a, '/').address, parseStore(b, '/').address];
  expect(sameStore(left, right)).toBe(same);
  expect(sameStore(right, left)).toBe(same);
});
