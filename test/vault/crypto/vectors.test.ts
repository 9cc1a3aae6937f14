import {argon2Sync, createHmac, hkdfSync} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {derived} from '../../../src/vault/crypto/derive.ts';
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
  expect(decapsulated(hex(seed), hex(ct))?.toString('hex')).toBe(ss);
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

// RFC 5869, appendix A.1 to A.3
const hkdf = [
  {
    ikm: '0b'.repeat(22),
    salt: '000102030405060708090a0b0c',
    info: 'f0f1f2f3f4f5f6f7f8f9',
    okm: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  },
  {
    ikm: Buffer.from(Array.from({length: 80}, (_, at) => at)).toString('hex'),
    salt: Buffer.from(Array.from({length: 80}, (_, at) => 0x60 + at)).toString('hex'),
    info: Buffer.from(Array.from({length: 80}, (_, at) => 0xb0 + at)).toString('hex'),
    okm:
      'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09' +
      'da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  },
  {
    ikm: '0b'.repeat(22),
    salt: '',
    info: '',
    okm: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  },
];

/** A second implementation, of the two steps of the RFC. */
function hkdfByHand(secret: Buffer, salt: Buffer, info: Buffer, sizeBytes: number): Buffer {
  const extracted = createHmac('sha256', salt).update(secret).digest();
  let [result, block] = [Buffer.alloc(0), Buffer.alloc(0)];
  for (let counter = 1; result.length < sizeBytes; counter++) {
    block = createHmac('sha256', extracted).update(block).update(info).update(Buffer.of(counter)).digest();
    result = Buffer.concat([result, block]);
  }
  return result.subarray(0, sizeBytes);
}

test.each(hkdf)('HKDF-SHA-256 gives the result of RFC 5869 for $okm', ({ikm, salt, info, okm}) => {
  const sizeBytes = okm.length / 2;
  expect(Buffer.from(hkdfSync('sha256', hex(ikm), hex(salt), hex(info), sizeBytes)).toString('hex')).toBe(okm);
  expect(hkdfByHand(hex(ikm), hex(salt), hex(info), sizeBytes).toString('hex')).toBe(okm);
});

test('a key is derived with the vault as salt and the label as info', () => {
  const vault = '00112233445566778899aabbccddeeff';
  const wanted = hkdfByHand(Buffer.from('secret'), hex(vault), Buffer.from('bkp-1 slot 7'), 40);
  expect(derived(Buffer.from('secret'), vault, 'slot 7', 40)).toEqual(wanted);
});
