import {argon2Sync} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {decapsulated, encapsulateFor, publicKeyOf, sizes} from '../../../src/vault/crypto/x-wing.ts';
import {Xaes} from '../../../src/vault/crypto/xaes.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

// https://github.com/C2SP/C2SP/blob/main/XAES-256-GCM.md, Test Vectors
test.each([
  {key: 1, aad: '', sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'},
  {key: 3, aad: 'c2sp.org/XAES-256-GCM', sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'},
])('XAES-256-GCM gives the published result for key $key', ({key, aad, sealed}) => {
  const aead = new Xaes(Buffer.alloc(32, key));
  const nonce = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
  const result = Buffer.concat(aead.seal(nonce, Buffer.from('XAES-256-GCM'), Buffer.from(aad)));
  expect(result.toString('hex')).toBe(sealed);
  expect(aead.open(nonce, result, Buffer.from(aad))?.toString()).toBe('XAES-256-GCM');
});

test('bytes that were changed, cut, or belong to another nonce do not open', () => {
  const aead = new Xaes(Buffer.alloc(32, 7));
  const nonce = Buffer.alloc(24, 1);
  const aad = Buffer.from('where');
  const sealed = Buffer.concat(aead.seal(nonce, Buffer.from('content'), aad));
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    expect(aead.open(nonce, changed, aad)).toBeUndefined();
  }
  expect(aead.open(nonce, sealed.subarray(0, -1), aad)).toBeUndefined();
  // Node accepts a tag of 4 bytes unless it is told the length.
  expect(aead.open(nonce, sealed.subarray(0, 7 + 4), aad)).toBeUndefined();
  expect(aead.open(Buffer.alloc(24, 2), sealed, aad)).toBeUndefined();
  expect(aead.open(nonce, sealed, Buffer.from('elsewhere'))).toBeUndefined();
});

type XWingVector = {seed: string; pk: string; ct: string; ss: string};

// https://github.com/dconnolly/draft-connolly-cfrg-xwing-kem, spec/test-vectors.json
const xWing: XWingVector[] = JSON.parse(readFileSync(join(import.meta.dirname, 'x-wing-vectors.json'), 'utf8'));

test.each(xWing)('X-Wing gives the public key and the secret of the draft', ({seed, pk, ct, ss}) => {
  expect(publicKeyOf(hex(seed)).toString('hex')).toBe(pk);
  expect(decapsulated(hex(seed), hex(ct)).toString('hex')).toBe(ss);
});

test('what X-Wing encapsulates for a key, the holder of its seed decapsulates, and nobody else', () => {
  const seed = Buffer.alloc(sizes.seed, 9);
  const {encapsulated, shared} = encapsulateFor(publicKeyOf(seed));
  expect(encapsulated.length).toBe(sizes.encapsulated);
  expect(decapsulated(seed, encapsulated)).toEqual(shared);
  expect(decapsulated(Buffer.alloc(sizes.seed, 8), encapsulated)).not.toEqual(shared);
});

test("Node's Argon2id gives the result of RFC 9106, 5.3", () => {
  const tag = argon2Sync('argon2id', {
    message: Buffer.alloc(32, 1),
    nonce: Buffer.alloc(16, 2),
    secret: Buffer.alloc(8, 3),
    associatedData: Buffer.alloc(12, 4),
    memory: 32,
    passes: 3,
    parallelism: 4,
    tagLength: 32,
  });
  expect(tag.toString('hex')).toBe('0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659');
});
