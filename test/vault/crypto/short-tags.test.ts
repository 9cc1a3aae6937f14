import {expect, test} from 'vitest';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {SealKeys} from '../../../src/vault/crypto/frame.ts';
import {PackOpener, plainPackBytes, sealPack} from '../../../src/vault/crypto/pack-object.ts';
import {openObject, sealObject} from '../../../src/vault/crypto/small-object.ts';
import {tagBytes, Xaes} from '../../../src/vault/crypto/xaes.ts';
import {createKeys, unlock} from '../../../src/vault/index.ts';
import {newRawKey} from '../../../src/vault/keys/ring.ts';
import {openPart, sealPart, withChecksum} from '../../../src/vault/keys/sealed-json.ts';
import {keysOf, noise, testKey} from '../helpers.ts';

// Node compares only as many bytes of a tag as it is given: a forged tag of 4 bytes is found by trying.

const vault = 'ab'.repeat(16);
const keys = new SealKeys([newRawKey(vault, 0)], vault);
const shorter = Array.from({length: tagBytes}, (_, length) => length);

test.each(shorter)('a message that ends after %i bytes of its tag does not open', (length) => {
  const aead = new Xaes(Buffer.alloc(32, 7));
  const nonce = Buffer.alloc(24, 1);
  for (const plain of [Buffer.alloc(0), Buffer.from('content'), noise(64, 1)]) {
    const sealed = Buffer.concat(aead.seal(nonce, plain, Buffer.alloc(0)));
    expect(aead.open(nonce, sealed, Buffer.alloc(0))).toEqual(plain);
    expect(aead.open(nonce, sealed.subarray(0, plain.length + length), Buffer.alloc(0))).toBeUndefined();
  }
});

test('an object that is cut anywhere is damaged', () => {
  const key = 'index/x';
  const sealed = sealObject(keys, vault, key, noise(20, 1));
  for (let length = 0; length < sealed.length; length++) {
    expect(() => openObject(keys, vault, key, sealed.subarray(0, length))).toThrowError(
      expect.objectContaining({code: 'OBJECT_DAMAGED'}),
    );
  }
});

test.each([1, 100, 32 * 1024, 32 * 1024 + 1, 40_000])(
  'no byte of a pack of %i bytes opens by a shorter tag',
  (size) => {
    const key = 'packs/x';
    const content = noise(size, 3);
    const sealed = sealPack(keys, vault, key, content);
    const last = size - (size % (32 * 1024) || 32 * 1024);
    for (const length of shorter) {
      const cut = sealed.subarray(0, sealed.length - tagBytes + length);
      expect(plainPackBytes(cut.length)).not.toBe(size);
      const {plain, isComplete} = new PackOpener(keys, vault).open(key, cut.subarray(16), 0);
      expect(isComplete).toBe(false);
      const before = plain.subarray(0, last);
      expect(Buffer.compare(before, content.subarray(0, before.length))).toBe(0);
      expect(plain.subarray(last).every((byte) => byte === 0)).toBe(true);
    }
  },
);

test('a part of a slot or a ring that is cut anywhere does not open', () => {
  const secret = Buffer.alloc(32, 5);
  for (const plain of [Buffer.alloc(0), noise(32, 1)]) {
    const sealed = Buffer.from(sealPart(secret, 'wrap', vault, plain, '1 x'), 'base64');
    const open = (bytes: Buffer) => openPart(secret, 'wrap', vault, bytes.toString('base64'), '1 x');
    expect(open(sealed)).toEqual(plain);
    for (let length = 0; length < sealed.length; length++) expect(open(sealed.subarray(0, length))).toBeUndefined();
  }
});

test('a slot, and each part of a ring, whose tag is shorter is damaged, and not a wrong secret', async () => {
  const store = openMemoryStore();
  await createKeys({store, nowMs: 0}, vault, {secret: testKey, label: 'first'});
  const names = (await keysOf(store, 'keys/')).filter((name) => !name.includes('spare'));
  const members = {slots: ['sealed'], rings: ['body', 'root']};
  for (const name of names) {
    const original = await store.get(name);
    for (const member of name.includes('slots') ? members.slots : members.rings) {
      for (const length of [0, 1, 4, 8, 12, 15]) {
        const {checksum: _, ...json} = JSON.parse(Buffer.from(original).toString());
        const holder = member === 'root' ? json.slots[0] : json;
        const bytes = Buffer.from(holder[member], 'base64');
        holder[member] = bytes.subarray(0, bytes.length - tagBytes + length).toString('base64');
        for (const copy of [name, name.replace('keys/', 'keys/spare/')]) await store.put(copy, withChecksum(json));
        const outcome = unlock(store, testKey, {vault});
        await expect(outcome, `${member} of ${name}`).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
      }
    }
    for (const copy of [name, name.replace('keys/', 'keys/spare/')]) await store.put(copy, original);
  }
});
