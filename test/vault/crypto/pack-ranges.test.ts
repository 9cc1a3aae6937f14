import {expect, test} from 'vitest';
import {isAlone} from '../../../src/lib/memory.ts';
import {type Key, openMemoryStore} from '../../../src/stores/index.ts';
import {frameBytes, SealKeys} from '../../../src/vault/crypto/frame.ts';
import {PackOpener, sealedRange, sealPack, segmentBytes} from '../../../src/vault/crypto/pack-object.ts';
import {sealedStore} from '../../../src/vault/crypto/sealed-store.ts';
import type {VaultKeys} from '../../../src/vault/crypto/vault-keys.ts';
import {packId} from '../../../src/vault/format/hash.ts';
import {packKey} from '../../../src/vault/format/key.ts';
import {noise} from '../helpers.ts';

const vault = '11'.repeat(16);
const key = `packs/ab/${'ab'.repeat(32)}` as Key;
const keys = new SealKeys([{id: '22'.repeat(8), key: '33'.repeat(32)}] as never, vault);
const opener = new PackOpener(keys, vault);
const content = noise(3 * segmentBytes + 1234, 1);
const sealed = sealPack(keys, vault, key, content);

const offsets = [0, 1, 1000, segmentBytes - 1, segmentBytes, segmentBytes + 1, 2 * segmentBytes, content.length - 1];
const ranges = offsets.flatMap((start) =>
  [...offsets, content.length].filter((end) => end > start).map((end) => ({start, end})),
);

const partOf = (bytes: Uint8Array, {start, end}: {start: number; end: number}) => {
  const range = sealedRange({start, end});
  return bytes.subarray(range.start, Math.min(range.end, bytes.length));
};

// A view of larger memory is copied when a thread is given it, and a restore copies every byte of a vault then.
test.each(ranges)('the bytes $start to $end of a pack are opened into memory of their own', (range) => {
  const {plain, isComplete} = opener.open(key, partOf(sealed, range), range.start, range.end);
  expect(isComplete).toBe(true);
  expect(plain.equals(content.subarray(range.start, range.end))).toBe(true);
  expect(plain.buffer.byteLength).toBe(plain.length);
});

test.each(ranges)('the bytes $start to $end of a pack are opened where their sealed ones were', (range) => {
  const part = Buffer.from(partOf(sealed, range));
  const {plain, isComplete} = opener.openInPlace(key, part, range.start, range.end);
  expect(isComplete).toBe(true);
  expect(plain.equals(content.subarray(range.start, range.end))).toBe(true);
  expect(plain.buffer).toBe(part.buffer);
});

const pack = packKey(packId(content));
const raw = (id: string) => ({since: '', id: id.repeat(8), key: id.repeat(32)});
const ringOf = (generation: number, ids: string[]): VaultKeys => ({
  ...{vault, generation, commitment: '00', names: '44'.repeat(32), data: ids.map(raw), meta: ids.map(raw)},
});

test('a thread is given what the store of an encrypted vault opens, without a copy', async () => {
  const store = sealedStore(openMemoryStore(), ringOf(1, ['55']));
  await store.put(pack, content);
  for (const range of [undefined, ...ranges]) {
    const opened = await store.get(pack, range);
    expect(Buffer.compare(opened, content.subarray(range?.start, range?.end))).toBe(0);
    expect(isAlone(opened)).toBe(true);
  }
});

test('a part that was sealed after a rotation is read with the newest keys', async () => {
  const inner = openMemoryStore();
  const newest = ringOf(2, ['55', '66']);
  await sealedStore(inner, newest).put(pack, content);
  for (const range of [undefined, ...ranges]) {
    const store = sealedStore(inner, ringOf(1, ['55']), async () => newest);
    expect(Buffer.compare(await store.get(pack, range), content.subarray(range?.start, range?.end))).toBe(0);
  }
});

test.each(ranges)('a damaged segment becomes zeros within $start to $end, and nothing else does', (range) => {
  const damaged = Buffer.from(sealed);
  damaged[frameBytes + segmentBytes + 16 + 100]! ^= 1;
  const {plain, isComplete} = opener.open(key, partOf(damaged, range), range.start, range.end);
  const inPlace = opener.openInPlace(key, Buffer.from(partOf(damaged, range)), range.start, range.end);
  expect(inPlace).toEqual({plain, isComplete});
  const expected = Buffer.from(content)
    .fill(0, segmentBytes, 2 * segmentBytes)
    .subarray(range.start, range.end);
  expect(plain.equals(expected)).toBe(true);
  const isTouched = range.start < 2 * segmentBytes && range.end > segmentBytes;
  expect(isComplete).toBe(!isTouched);
});

test('bytes that the pack does not have are left out, and an absent end is all of it', () => {
  const {start} = {start: content.length - 10};
  expect(opener.open(key, partOf(sealed, {start, end: content.length}), start, content.length + 5).plain).toHaveLength(
    10,
  );
  expect(opener.open(key, sealed.subarray(frameBytes), 0).plain.equals(content)).toBe(true);
});
