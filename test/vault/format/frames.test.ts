import {describe, expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import {hash} from '../../../src/vault/format/hash.ts';
import {type SealedKind, seal, sealedKinds, unseal} from '../../../src/vault/format/sealed.ts';
import {backup, keysOf, newStore, noise, open} from '../helpers.ts';

// The bytes of docs/format.md again, as literals: every version must be able to read what this one writes.

const kinds: [SealedKind, number][] = [
  ['manifest', 1],
  ['document', 2],
  ['index', 3],
  ['packTable', 4],
];

describe('the frame of sealed objects', () => {
  test('has a number for each kind, and there are no other kinds', () => {
    expect(Object.entries(sealedKinds)).toEqual(kinds);
  });

  test.each(kinds)('of a %s contains kind %i', async (kind, number) => {
    const payload = Buffer.from('payload '.repeat(20));
    const sealed = await seal(kind, payload);
    expect(sealed.subarray(0, 16).toString('hex')).toBe(
      // BKPS, version 1, the kind, zstd, 0; 160 bytes.
      `424b505301${number.toString(16).padStart(2, '0')}0100a000000000000000`,
    );
    expect(sealed.subarray(16, 20).toString('hex')).toBe('28b52ffd');
    expect(sealed.subarray(-32).equals(hash(sealed.subarray(0, -32)))).toBe(true);
    expect(Buffer.from(await unseal(kind, sealed, 'key')).equals(payload)).toBe(true);
    for (const [other] of kinds) {
      if (other !== kind) await expect(unseal(other, sealed, 'key')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    }
  });

  test('stores a payload that does not compress as plain bytes', async () => {
    const sealed = await seal('document', Buffer.from('{}'));
    expect(sealed.subarray(0, 18).toString('hex')).toBe(`424b5053010200000200000000000000${'7b7d'}`);
  });

  test('with a salt ends in a frame that zstd skips', async () => {
    const salt = '00112233445566778899aabbccddeeff';
    const sealed = await seal('index', Buffer.from('x'), salt);
    expect(sealed.subarray(0, 16).toString('hex')).toBe('424b5053010301000100000000000000');
    // Its magic number, 16 bytes, the salt.
    expect(sealed.subarray(-32 - 24, -32).toString('hex')).toBe(`502a4d1810000000${salt}`);
    expect(Buffer.from(await unseal('index', sealed, 'key')).toString()).toBe('x');
  });
});

describe('the bytes of an object', () => {
  const bytesOf = async (store: Store, prefix: string, end = '') => {
    const key = (await keysOf(store, prefix)).find((one) => one.endsWith(end))!;
    return {key, bytes: Buffer.from(await store.get(key))};
  };
  const make = async () => {
    const store = newStore();
    const vault = await open(store);
    const writer = await vault.writer({purpose: 'test'});
    await writer.putDocument('.backups/collections/shop/definition/00000001', {name: 'shop'});
    await writer.close();
    await backup(vault, 'one', [{bytes: noise(100, 1)}, {bytes: noise(200, 2)}]);
    return store;
  };

  test('of a pack: chunks, a table of 41 bytes for each chunk, the length of the table, BKPPACK1', async () => {
    const {key, bytes} = await bytesOf(await make(), 'packs/');
    expect(key).toBe(`packs/${hash(bytes).toString('hex').slice(0, 2)}/${hash(bytes).toString('hex')}`);
    expect(bytes.subarray(-8).toString('hex')).toBe('424b505041434b31');
    const tableBytes = bytes.readUInt32LE(bytes.length - 12);
    expect(bytes.length).toBe(300 + tableBytes + 12);
    const sealed = bytes.subarray(300, 300 + tableBytes);
    expect(sealed.subarray(0, 7).toString('hex')).toBe('424b5053010401');
    const table = Buffer.from(await unseal('packTable', sealed, key));
    expect(table.toString('hex')).toBe(
      [noise(100, 1), noise(200, 2)]
        .map((chunk, n) => `${hash(chunk).toString('hex')}${['64000000', 'c8000000'][n]!.repeat(2)}00`)
        .join(''),
    );
  });

  test('of an index: pack, length, number of entries, entries', async () => {
    const store = await make();
    const pack = await bytesOf(store, 'packs/');
    const {key, bytes} = await bytesOf(store, 'index/');
    expect(key).toBe(`index/${hash(bytes).toString('hex')}`);
    expect(bytes.subarray(0, 7).toString('hex')).toBe('424b5053010301');
    const payload = Buffer.from(await unseal('index', bytes, key));
    expect(payload.subarray(0, 32).toString('hex')).toBe(pack.key.split('/')[2]);
    expect(Number(payload.readBigUInt64LE(32))).toBe(pack.bytes.length);
    expect(payload.readUInt32LE(40)).toBe(2);
    expect(payload.length).toBe(44 + 2 * 41);
  });

  test('of a manifest, which names its lease, and of a document', async () => {
    const store = await make();
    const manifest = await bytesOf(store, '.backups/', '/manifest');
    expect(manifest.bytes.subarray(0, 6).toString('hex')).toBe('424b50530101');
    const text = Buffer.from(await unseal('manifest', manifest.bytes, manifest.key)).toString();
    expect(text).toMatch(
      new RegExp(
        '^\\{"kind":"test","streams":\\[\\{"sizeBytes":300,"depth":0,' +
          '"chunks":\\["[0-9a-f]{64}","[0-9a-f]{64}"\\]\\}\\],' +
          '"lease":"[0-9a-f]{32}","body":\\{"note":"a test"\\}\\}$',
      ),
    );
    const document = await bytesOf(store, '.backups/', '/00000001');
    expect(document.bytes.subarray(0, 6).toString('hex')).toBe('424b50530102');
    expect(Buffer.from(await unseal('document', document.bytes, document.key)).toString()).toBe('{"name":"shop"}');
  });
});
