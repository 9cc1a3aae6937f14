import {cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {beforeAll, expect, test} from 'vitest';
import {boundTo, frameOf, SealKeys} from '../../src/vault/crypto/frame.ts';
import {HiddenNames} from '../../src/vault/crypto/hidden-names.ts';
import {openObject, sealObject} from '../../src/vault/crypto/small-object.ts';
import {type Unlocked, unlock} from '../../src/vault/index.ts';
import {newRawKey, newRoot, parseRing, type Ring, ringKey, sealRing} from '../../src/vault/keys/ring.ts';
import {openPart, sealPart, withChecksum} from '../../src/vault/keys/sealed-json.ts';
import {loadStore} from '../fixtures/sealed-copy.ts';
import {kitCode, secrets} from '../fixtures/secrets.ts';
import {fixtureOf, folder, read, succeeds} from '../reader/run.ts';

// What bkp-reader must not believe: it shares no code with bkp, so each of its guards has a test of its own.

const {store} = fixtureOf('vault-3');
const {id: vault} = JSON.parse(readFileSync(join(store, 'bkp.json'), 'utf8')) as {id: string};

let opened: Unlocked;
beforeAll(async () => {
  opened = await unlock(await loadStore(store), secrets.kit, {vault});
});

/** A copy of the vault, and what bkp-reader says about it. */
function copied() {
  const copy = join(folder(), 'store');
  const kit = join(folder(), 'kit.txt');
  cpSync(store, copy, {recursive: true});
  writeFileSync(kit, kitCode);
  const putKey = (name: string, bytes: Uint8Array) => {
    for (const place of ['keys', 'keys/spare']) writeFileSync(join(copy, place, name), bytes);
  };
  return {copy, putKey, list: () => read(copy, '--kit', kit), kit};
}

const own = () => ({names: newRawKey(vault, 0).key, data: [newRawKey(vault, 0)], meta: [newRawKey(vault, 0)]});
const generation = () => opened.ring.keys.generation;
const nameOf = (number: number) => ringKey(number).slice('keys/'.length);

test('a ring under another name is not that ring', () => {
  const {copy, putKey, list} = copied();
  putKey(nameOf(generation() + 1), readFileSync(join(copy, 'keys', nameOf(generation()))));
  expect(list()).toMatchObject({status: 0, stderr: expect.stringContaining('it belongs under another name')});
});

test('a slot in the place of another one opens nothing', () => {
  const {copy, putKey, list} = copied();
  const slots = readdirSync(join(copy, 'keys/slots'));
  const bytes = slots.map((slot) => readFileSync(join(copy, 'keys/slots', slot)));
  for (const [at, slot] of slots.entries()) putKey(`slots/${slot}`, bytes[(at + 1) % slots.length]!);
  expect(list()).toMatchObject({status: 1, stdout: '', stderr: expect.stringContaining('it belongs elsewhere')});
});

test('a slot whose bytes changed is damaged, and no wrong secret', () => {
  const {copy, putKey, list} = copied();
  for (const slot of readdirSync(join(copy, 'keys/slots'))) {
    const json = JSON.parse(readFileSync(join(copy, 'keys/slots', slot), 'utf8'));
    putKey(`slots/${slot}`, Buffer.from(JSON.stringify({...json, commitment: '00'.repeat(32)}, null, 2)));
  }
  expect(list()).toMatchObject({status: 1, stdout: '', stderr: expect.stringContaining('its checksum is wrong')});
});

test('rings that follow from each other, and not from the one that the slot knows, are refused', () => {
  const {putKey, list} = copied();
  let last: {ring: Ring; bytes: Buffer} | undefined;
  for (let number = 1; number <= generation() + 1; number++) {
    last = sealRing({vault, root: newRoot(), before: last?.ring, keys: own(), slots: opened.ring.slots});
  }
  putKey(nameOf(generation() + 1), last!.bytes);
  expect(list()).toMatchObject({status: 1, stdout: '', stderr: expect.stringContaining('someone else made it')});
});

test('a ring whose commitment is not that of its root is refused', () => {
  const {putKey, list} = copied();
  const next = generation() + 1;
  const root = newRoot();
  const {bytes} = sealRing({vault, root, before: opened.ring, keys: opened.ring.keys, slots: opened.ring.slots});
  putKey(nameOf(next), bytes);
  expect(list()).toMatchObject({status: 0});
  const json = parseRing(bytes, ringKey(next), vault);
  const outside = ({vault: id, generation: number, commitment, link, slots}: typeof json) =>
    JSON.stringify({vault: id, generation: number, commitment, link, slots});
  const changed = {...json, commitment: '00'.repeat(32)};
  const body = openPart(root, 'ring body', vault, json.body, outside(json))!;
  changed.body = sealPart(root, 'ring body', vault, body, outside(changed));
  putKey(nameOf(next), withChecksum(changed));
  expect(list()).toMatchObject({status: 1, stdout: '', stderr: expect.stringContaining('someone else made it')});
});

/** The manifest of a backup, and what seals it. */
function manifest() {
  const key = '.backups/collections/shop/20261127180200Z_full/manifest';
  const file = new HiddenNames(Buffer.from(opened.ring.keys.names, 'hex'), vault).hide(key);
  const keys = new SealKeys(opened.ring.keys.meta, vault);
  const content = openObject(keys, vault, key, readFileSync(join(store, file)));
  return {key, file, keys, content};
}

test.each([
  ['another nonce than that of its message', 24, 0],
  ['more zeros at its end than bkp writes', 0, 256],
])('an object that the right key sealed with %s does not open', (_, nonceFrom, more) => {
  const {copy, kit} = copied();
  const {key, file, keys, content} = manifest();
  const sealed = sealObject(keys, vault, key, content);
  const sealKey = keys.newest;
  const frame = frameOf('object', sealKey);
  const bound = boundTo(frame, vault, key);
  const usual = sealKey.aead.open(sealed.subarray(16, 40), sealed.subarray(40), bound)!;
  const plain = Buffer.concat([usual, Buffer.alloc(more)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bound.length));
  const nonce = nonceFrom > 0 ? Buffer.alloc(24, 7) : sealKey.nonceOf(length, bound, plain).subarray(0, 24);
  const restore = () => read(copy, 'shop/20261127180200Z_full', '--to', join(folder(), 'new.db'), '--kit', kit);
  writeFileSync(join(copy, file), sealed);
  expect(restore()).toMatchObject({status: 0});
  writeFileSync(join(copy, file), Buffer.concat([frame, nonce, ...sealKey.aead.seal(nonce, plain, bound)]));
  expect(restore()).toMatchObject({status: 1, stderr: expect.stringContaining('does not open: it was changed')});
});

test('a folder whose name nobody with the keys hid is no collection', () => {
  const {copy, list, kit} = copied();
  const before = succeeds(copy, '--kit', kit);
  const invented = join(copy, '.backups/collections', `~${'A'.repeat(64)}`, '20261127180200Z_full/manifest');
  mkdirSync(dirname(invented), {recursive: true});
  writeFileSync(invented, readFileSync(join(copy, manifest().file)));
  expect(list()).toMatchObject({stdout: before.stdout, stderr: before.stderr});
  // The same bytes in another spelling: the collection is not listed twice.
  const folders = readdirSync(join(copy, '.backups/collections'));
  for (const one of folders) mkdirSync(join(copy, '.backups/collections', `${one}=`));
  expect(list()).toMatchObject({stdout: before.stdout, stderr: before.stderr});
});
