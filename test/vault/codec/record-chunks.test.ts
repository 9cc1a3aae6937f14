import {describe, expect, test} from 'vitest';
import type {RecordKind} from '../../../src/vault/codec/columns/columns.ts';
import {decodeChunk, decodeChunkInto, type StoredBase} from '../../../src/vault/codec/decode.ts';
import {ChunkEncoder, type EncodedChunk} from '../../../src/vault/codec/encode.ts';
import {chunkEncodings} from '../../../src/vault/format/entry.ts';
import {chunkId} from '../../../src/vault/format/hash.ts';
import {compressNow} from '../../../src/vault/format/zstd.ts';
import type {Recipe, Vault} from '../../../src/vault/index.ts';
import fc from '../../seeds/fast-check.ts';
import {backup, changed, findings, manifestKey, manifestOf, newStore, noise, open, readAll} from '../helpers.ts';
import {anyRows, columnsOf, type RecordValues, recordsOf, shopRows} from './records.ts';

const kinds: readonly RecordKind[] = ['rowid', 'key'];

/** Encodes records, and decodes them in each way. */
async function encoded(plain: Uint8Array, records: RecordKind, base?: StoredBase & {plain: Uint8Array}) {
  const id = chunkId(plain);
  const chunk: EncodedChunk = new ChunkEncoder(1).encode({id, plain, records, base});
  const decodable = {id, plainBytes: plain.length, encoding: chunk.encoding};
  const basePlain = chunk.base === undefined ? undefined : base!.plain;
  expect(Buffer.compare(await decodeChunk(decodable, chunk.stored, basePlain), plain)).toBe(0);
  const into = Buffer.alloc(plain.length);
  decodeChunkInto(into, decodable, chunk.stored, basePlain);
  expect(into.equals(plain)).toBe(true);
  into.fill(0);
  decodeChunkInto(into, decodable, chunk.stored, chunk.base === undefined ? undefined : base);
  expect(into.equals(plain)).toBe(true);
  return chunk;
}

async function asBase(plain: Uint8Array, records: RecordKind): Promise<StoredBase & {plain: Uint8Array}> {
  const {encoding, stored} = await encoded(plain, records);
  return {id: chunkId(plain), plainBytes: plain.length, encoding, stored, plain};
}

/** The same rows with a few changes. */
const changedRows = (rows: readonly RecordValues[]) =>
  rows.map(({rowid, values}, at) => ({rowid, values: at % 100 === 7 ? [...values.slice(0, -1), 'changed'] : values}));

const headerOf = ({stored}: EncodedChunk) => [...stored.subarray(0, 3)];

test.each(kinds)('%s records are stored by column, in less than without', async (kind) => {
  const plain = recordsOf(shopRows(3000), kind);
  const chunk = await encoded(plain, kind);
  expect(chunk).toMatchObject({encoding: chunkEncodings.zstdOfFiltered});
  expect(headerOf(chunk)).toEqual([0, kinds.indexOf(kind), 0]);
  expect(chunk.stored.length).toBeLessThan(compressNow(plain, {level: 1}).length * 0.8);
});

test('a few records are stored in whichever form is smaller', async () => {
  const plain = recordsOf(shopRows(3), 'rowid');
  const chunk = await encoded(plain, 'rowid');
  expect(chunk.stored.length).toBeLessThan(plain.length);
  expect(chunk.stored.length).toBeLessThanOrEqual(compressNow(plain, {level: 1}).length);
});

test('records without a rowid are a difference of columns, those with one a difference of records', async () => {
  for (const kind of kinds) {
    const rows = shopRows(3000);
    const base = await asBase(recordsOf(rows, kind), kind);
    expect(base.encoding).toBe(chunkEncodings.zstdOfFiltered);
    const chunk = await encoded(recordsOf(changedRows(rows), kind), kind, base);
    expect(chunk).toMatchObject({encoding: chunkEncodings.zstdWithBase, base: base.id});
    expect(headerOf(chunk)).toEqual(kind === 'key' ? [0, 1, 0] : [0x28, 0xb5, 0x2f]);
    expect(chunk.stored.length).toBeLessThan(base.stored.length / 10);
  }
});

test('a difference of columns is the frame that docs/format.md describes', async () => {
  const rows = shopRows(1000);
  const changes = changedRows(rows);
  const [base, plain] = [recordsOf(rows, 'key'), recordsOf(changes, 'key')];
  const dictionary = columnsOf(rows, 'key');
  const stored = Buffer.concat([Buffer.of(0, 1, 0), compressNow(columnsOf(changes, 'key'), {level: 5, dictionary})]);
  const chunk = {id: chunkId(plain), plainBytes: plain.length, encoding: chunkEncodings.zstdWithBase};
  expect(Buffer.compare(await decodeChunk(chunk, stored, base), plain)).toBe(0);
  await expect(decodeChunk(chunk, stored, noise(5000, 1))).rejects.toThrow('its base cannot be arranged by column');
});

test.each(kinds)('%s records like a base that is none are stored without columns', async (kind) => {
  const plain = noise(60_000, 1);
  const base = await asBase(plain, kind);
  expect(base.encoding).toBe(chunkEncodings.plain);
  const chunk = await encoded(changed(plain, 100), kind, base);
  expect(chunk).toMatchObject({encoding: chunkEncodings.zstdWithBase, base: base.id});
  expect(headerOf(chunk)).toEqual([0x28, 0xb5, 0x2f]);
});

test('bytes that are no records are a difference to records that are stored by column', async () => {
  const plain = recordsOf(shopRows(3000), 'key');
  const base = await asBase(plain, 'key');
  expect(base.encoding).toBe(chunkEncodings.zstdOfFiltered);
  const chunk = await encoded(Buffer.concat([noise(100, 1), plain]), 'key', base);
  expect(chunk).toMatchObject({encoding: chunkEncodings.zstdWithBase, base: base.id});
  expect(headerOf(chunk)).toEqual([0x28, 0xb5, 0x2f]);
});

test.each(kinds)('%s records are no difference to a base that has other records than its id says', async (kind) => {
  const rows = shopRows(3000);
  const [first, second, ...rest] = rows;
  const base = await asBase(recordsOf(rows, kind), kind);
  const other = await asBase(recordsOf([second!, first!, ...rest], kind), kind);
  expect(other).toMatchObject({encoding: base.encoding, plainBytes: base.plainBytes});
  const chunk = await encoded(recordsOf(changedRows(rows), kind), kind, {...base, stored: other.stored});
  expect(chunk.encoding).toBe(chunkEncodings.zstdOfFiltered);
});

test('what is not quite records is stored exactly', async () => {
  await fc.assert(
    fc.asyncProperty(anyRows, fc.constantFrom(...kinds), fc.nat(), fc.nat(255), async (rows, kind, at, value) => {
      const plain = recordsOf(rows, kind);
      if (plain.length === 0) return;
      plain[at % plain.length] = value;
      await encoded(plain, kind);
    }),
    {numRuns: 30},
  );
});

test.each(['header', 'frame'])('records with a wrong bit in the %s are refused', async (where) => {
  const plain = recordsOf(shopRows(2000), 'rowid');
  const {encoding, stored} = await encoded(plain, 'rowid');
  const chunk = {id: chunkId(plain), plainBytes: plain.length, encoding};
  for (let bit = 0; bit < 24; bit++) {
    const wrong = Buffer.from(stored);
    wrong[(where === 'header' ? 0 : 200) + (bit >> 3)]! ^= 1 << (bit & 7);
    await expect(decodeChunk(chunk, wrong)).rejects.toThrow();
    expect(() => decodeChunkInto(Buffer.alloc(plain.length), chunk, wrong)).toThrow();
  }
});

describe('a vault', () => {
  const pieces = (rows: readonly RecordValues[], kind: RecordKind) =>
    Array.from({length: 8}, (_, at) => ({
      bytes: recordsOf(rows.slice(at * 500, (at + 1) * 500), kind),
      records: kind,
    }));

  /** Bytes that are no records, so many that threads encode what follows. */
  const others = Array.from({length: 20}, (_, seed) => ({bytes: noise(100_000, seed)}));

  /** Two backups. The second one has no bytes of others, so that packs become sparse without the first. */
  async function twoBackups() {
    const store = newStore();
    const vault = await open(store);
    const rows = shopRows(4000);
    const [before, after] = [rows, changedRows(rows)].map((rows) => kinds.flatMap((kind) => pieces(rows, kind)));
    const one = await backup(vault, 'one', [...others, ...before!]);
    const second = after!.map((piece, at) => ({...piece, like: one.chunks[others.length + at]!}));
    const two = await backup(vault, 'two', second);
    const expected = Buffer.concat(after!.map(({bytes}) => bytes));
    const isIntact = async (vault: Vault, recipe: Recipe) => {
      expect(await findings(vault, 'structure')).toEqual([]);
      expect(await findings(vault, 'data')).toEqual([]);
      return (await readAll(vault, recipe)).equals(expected);
    };
    return {store, vault, one, two, isIntact};
  }

  test('reads and verifies records that are stored by column and as differences', async () => {
    const {store, vault, one, two, isIntact} = await twoBackups();
    expect(await isIntact(await open(store), two)).toBe(true);
    const [first, both] = [await vault.storedBytes([one]), await vault.storedBytes([one, two])];
    expect(both - first).toBeLessThan(20_000);
  });

  test('keeps the bases of differences when sparse packs are rewritten', async () => {
    const {store, vault, two, isIntact} = await twoBackups();
    const collector = await vault.collector({purpose: 'cleanup'});
    await collector.remove([manifestKey('one')]);
    const plan = await collector.plan();
    expect(plan.sparsePacks.length).toBeGreaterThan(0);
    await collector.execute(plan);
    await collector.close();
    expect(await isIntact(await open(store), two)).toBe(true);
  });

  test('copies records as they are stored, with their bases', async () => {
    const {vault, two, isIntact} = await twoBackups();
    const target = newStore();
    const copy = await open(target);
    const writer = await copy.writer({purpose: 'copy'});
    await writer.copyFrom(vault, [two]);
    await writer.commit(manifestKey('two'), manifestOf(two));
    await writer.close();
    expect(await isIntact(await open(target), two)).toBe(true);
    expect(await copy.storedBytes([two])).toBe(await vault.storedBytes([two]));
  });
});
