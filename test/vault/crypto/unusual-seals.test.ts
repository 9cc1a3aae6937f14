import {expect, test} from 'vitest';
import {boundTo, frameOf, SealKeys} from '../../../src/vault/crypto/frame.ts';
import {openObject, sealObject} from '../../../src/vault/crypto/small-object.ts';
import {newRawKey} from '../../../src/vault/keys/ring.ts';
import {noise} from '../helpers.ts';

// Objects that the right key sealed, otherwise than bkp does: authentic, and nevertheless not believed.

const vault = 'ab'.repeat(16);
const key = 'index/x';
const keys = new SealKeys([newRawKey(vault, 0)], vault);
const sealKey = keys.newest;
const plain = Buffer.alloc(256);
plain.writeBigUInt64LE(3n);
plain.set([1, 2, 3], 8);

function sealed(frame: Buffer, nonceFor: (bound: Buffer) => Buffer): Buffer {
  const bound = boundTo(frame, vault, key);
  const nonce = nonceFor(bound);
  return Buffer.concat([frame, nonce, ...sealKey.aead.seal(nonce, plain, bound)]);
}

function usualNonce(bound: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bound.length));
  return sealKey.nonceOf(length, bound, plain).subarray(0, 24);
}

const frame = () => frameOf('object', sealKey);
const open = (bytes: Buffer) => openObject(keys, vault, key, bytes);

test('an object with the nonce of its message opens', () => {
  const bytes = sealed(frame(), usualNonce);
  expect(bytes).toEqual(sealObject(keys, vault, key, Buffer.of(1, 2, 3)));
  expect(open(bytes)).toEqual(Buffer.of(1, 2, 3));
});

test('an object with another nonce than that of its message is damaged: it could open under a second key', () => {
  expect(() => open(sealed(frame(), () => noise(24, 1)))).toThrow('it does not open');
});

test('an object that begins as none that bkp seals is said to be not encrypted, however long it is', () => {
  const other = frame();
  other[0]! ^= 3;
  for (const bytes of [sealed(other, usualNonce), plain, Buffer.from('{}'), Buffer.alloc(0)]) {
    expect(() => open(bytes)).toThrow('it is not encrypted, but its vault is');
  }
});

test.each([
  ['another version', 4],
  ['another kind', 5],
  ['a byte that is reserved', 6],
])('an object whose frame has %s is damaged, whoever sealed it', (_, at) => {
  const other = frame();
  other[at]! ^= 3;
  expect(() => open(sealed(other, usualNonce))).toThrow('it is not a sealed object');
});
