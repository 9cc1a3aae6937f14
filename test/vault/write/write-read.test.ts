import {expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {wrapStore} from '../../../src/stores/index.ts';
import type {ChunkId, Piece} from '../../../src/vault/index.ts';
import fc from '../../seeds/fast-check.ts';
import {
  backup,
  changed,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  manifestsOf,
  newStore,
  noise,
  open,
  readAll,
  testPlain,
} from '../helpers.ts';

const mebi = 1024 * 1024;

/** Pieces as a source may cut them: noise, text, zeros, empty ones, repeated ones. */
const pieceBytes = fc.oneof(
  {weight: 4, arbitrary: fc.uint8Array({maxLength: 3000})},
  {weight: 3, arbitrary: fc.integer({min: 0, max: 30}).map((seed) => noise(20_000, seed))},
  {weight: 2, arbitrary: fc.integer({min: 1, max: 200_000}).map((size) => Buffer.alloc(size, 'row '))},
  // The magic number of a trained dictionary, which zstd does not accept as raw content.
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({minLength: 1, maxLength: 9000})
      .map((rest) => Buffer.concat([Buffer.from([0x37, 0xa4, 0x30, 0xec]), rest])),
  },
);

test('what several writers wrote, with any `like`, is read back byte for byte', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.array(fc.record({bytes: pieceBytes, like: fc.nat(), edits: fc.array(fc.nat(), {maxLength: 3})}), {
          maxLength: 12,
        }),
        {maxLength: 4},
      ),
      async (rounds) => {
        const store = newStore();
        const vault = await open(store);
        const streams: {expected: Buffer; recipe: Awaited<ReturnType<typeof backup>>}[] = [];
        const known: {id: ChunkId; bytes: Uint8Array}[] = [];
        for (const [round, plan] of rounds.entries()) {
          const pieces: Piece[] = plan.map(({bytes, like, edits}) => {
            const old = known.length === 0 ? undefined : known[like % known.length];
            if (old === undefined) return {bytes};
            // Half of them resemble the chunk that `like` names; the rest do not.
            return {
              bytes:
                like % 2 === 0 || old.bytes.length === 0
                  ? bytes
                  : changed(old.bytes, ...edits.map((at) => at % old.bytes.length)),
              like: old.id,
            };
          });
          const recipe = await backup(vault, `${round}`, pieces);
          streams.push({expected: Buffer.concat(pieces.map(({bytes}) => bytes)), recipe});
          const full = pieces.filter(({bytes}) => bytes.length > 0);
          for (const [n, id] of (await vault.chunkIds(recipe)).entries()) known.push({id, bytes: full[n]!.bytes});
        }
        const second = await open(store);
        for (const reader of [vault, second]) {
          for (const {recipe, expected} of streams) {
            expect((await readAll(reader, recipe)).equals(expected)).toBe(true);
            expect(recipe.sizeBytes).toBe(expected.length);
          }
        }
        expect(await findings(second)).toEqual([]);
        vault.close();
        second.close();
      },
    ),
    {numRuns: 40},
  );
});

testPlain('the same chunk is stored once, within a stream, within a vault and by two writers', async () => {
  const store = newStore();
  const vault = await open(store);
  const bytes = noise(100_000, 1);
  const writer = await vault.writer({purpose: 'test'});
  await writer.write([{bytes}, {bytes: noise(10, 2)}, {bytes}]);
  await writer.flush();
  expect(writer.stats).toMatchObject({chunks: 3, newChunks: 2, newBytes: 100_010, logicalBytes: 200_010});
  const recipe = await writer.write([{bytes}]);
  expect(writer.stats).toMatchObject({chunks: 4, newChunks: 2});
  await writer.commit(manifestKey('one'), manifestOf(recipe));
  const {storedBytes} = writer.stats;
  expect(storedBytes).toBe(
    (
      await Promise.all(
        (
          await keysOf(store)
        )
          .filter((key) => /^(packs|index|\.backups)\//.test(key))
          .map(async (key) => (await store.stat(key))!.sizeBytes),
      )
    ).reduce((sum, size) => sum + size, 0),
  );
  await writer.close();

  const other = await open(store);
  const again = await other.writer({purpose: 'test'});
  await again.write([{bytes}]);
  await again.flush();
  expect(again.stats).toMatchObject({newChunks: 0, storedBytes: 0});
  await again.close();
});

test('compressible chunks are compressed, others are stored unchanged', async () => {
  const vault = await open(newStore());
  const text = await backup(vault, 'text', [{bytes: Buffer.alloc(mebi, 'the same words again and again ')}]);
  const random = await backup(vault, 'random', [{bytes: noise(mebi, 7)}]);
  expect(await vault.storedBytes([text])).toBeLessThan(1000);
  expect(await vault.storedBytes([random])).toBe(mebi);
});

test('a chunk that resembles another one costs about as much as the difference', async () => {
  const store = newStore();
  const vault = await open(store);
  const first = noise(mebi, 1);
  const one = await backup(vault, 'one', [{bytes: first}]);
  const second = changed(first, 1000, 500_000);
  const two = await backup(vault, 'two', [{bytes: second, like: one.chunks[0]!}]);
  // Instead of a difference to a difference, it is stored as a difference to the base of that.
  const third = changed(second, 700_000);
  const three = await backup(vault, 'three', [{bytes: third, like: two.chunks[0]!}]);
  const stored = async (...recipes: (typeof one)[]) => vault.storedBytes(recipes);
  expect(await stored(one)).toBe(mebi);
  // The base counts: the stream cannot be read without it.
  expect((await stored(two)) - mebi).toBeLessThan(1000);
  expect((await stored(one, two, three)) - mebi).toBeLessThan(2000);
  for (const [recipe, bytes] of [
    [one, first],
    [two, second],
    [three, third],
  ] as const) {
    expect((await readAll(vault, recipe)).equals(bytes)).toBe(true);
  }
});

test('a `like` that is not similar, is unknown, or cannot be a dictionary does no harm', async () => {
  const vault = await open(newStore());
  const magic = Buffer.concat([Buffer.from([0x37, 0xa4, 0x30, 0xec]), noise(5000, 3)]);
  const [other, strange, tiny] = (
    await backup(vault, 'one', [{bytes: noise(50_000, 1)}, {bytes: magic}, {bytes: Buffer.from('tiny')}])
  ).chunks;
  const pieces = [
    {bytes: noise(50_000, 2), like: other!},
    {bytes: changed(magic, 4000), like: strange!},
    {bytes: noise(40, 5), like: tiny!},
    {bytes: noise(60, 6), like: 'f'.repeat(64) as ChunkId},
  ];
  const recipe = await backup(vault, 'two', pieces);
  expect((await readAll(vault, recipe)).equals(Buffer.concat(pieces.map(({bytes}) => bytes)))).toBe(true);
});

test('a long stream has a list of its chunks, and lists of lists', async () => {
  const store = newStore();
  const vault = await open(store);
  const count = 10_000;
  function* pieces() {
    for (let n = 0; n < count; n++) yield {bytes: Buffer.from(`row ${n}\n`)};
  }
  const recipe = await backup(vault, 'long', pieces());
  expect(recipe).toMatchObject({depth: 1, chunks: {length: 3}});
  expect(new Set(await vault.chunkIds(recipe)).size).toBe(count);
  const expected = Buffer.concat([...pieces()].map(({bytes}) => bytes));
  expect((await readAll(vault, recipe)).equals(expected)).toBe(true);
  expect(await findings(vault)).toEqual([]);
  // Packs of 8192 chunks, and the lists.
  expect(await keysOf(store, 'packs/')).toHaveLength(2);
});

test('an empty stream and empty pieces can be written and read', async () => {
  const vault = await open(newStore());
  for (const pieces of [[], [{bytes: new Uint8Array()}]]) {
    const recipe = await backup(vault, `empty ${pieces.length}`.replace(' ', '-'), pieces);
    expect(recipe).toEqual({sizeBytes: 0, depth: 0, chunks: []});
    expect(await readAll(vault, recipe)).toHaveLength(0);
  }
});

test('large chunks are put into packs of at most 24 MiB', async () => {
  const store = newStore();
  const vault = await open(store);
  const pieces = [15, 16, 1, 7, 16].map((size, seed) => ({bytes: Buffer.alloc(size * mebi, noise(512 * 1024, seed))}));
  // Equal noise in both halves of a chunk would compress, so the bytes are random.
  for (const {bytes} of pieces) for (let at = 0; at < bytes.length; at += 64) bytes.writeDoubleLE(Math.random(), at);
  const recipe = await backup(vault, 'large', pieces);
  for await (const {sizeBytes} of store.list('packs/')) expect(sizeBytes).toBeLessThanOrEqual(24 * mebi);
  expect((await readAll(vault, recipe)).equals(Buffer.concat(pieces.map(({bytes}) => bytes)))).toBe(true);
});

test('a piece that is larger than the largest chunk fails the writer', async () => {
  const vault = await open(newStore());
  const writer = await vault.writer({purpose: 'test'});
  await expect(writer.write([{bytes: Buffer.alloc(16 * mebi + 1)}])).rejects.toThrow('larger than a chunk');
  await writer.close();
});

test('after an error of the source the same writer can write the stream again', async () => {
  const vault = await open(newStore());
  const writer = await vault.writer({purpose: 'test'});
  const pieces = Array.from({length: 20}, (_, seed) => ({bytes: noise(5000, seed)}));
  await expect(
    writer.write(
      (function* () {
        yield* pieces.slice(0, 10);
        throw new Error('the database went away');
      })(),
    ),
  ).rejects.toThrow('the database went away');
  const recipe = await writer.write(pieces);
  expect(await writer.commit(manifestKey('one'), manifestOf(recipe))).toBe('written');
  await writer.close();
  expect(await findings(vault)).toEqual([]);
});

test('a manifest’s key can be used once, and documents are read back', async () => {
  const vault = await open(newStore());
  const writer = await vault.writer({purpose: 'test'});
  const recipe = await writer.write([{bytes: Buffer.from('x')}]);
  expect(await writer.commit(manifestKey('one'), manifestOf(recipe))).toBe('written');
  expect(await writer.commit(manifestKey('one'), manifestOf())).toBe('exists');
  expect((await vault.manifest(manifestKey('one'))).streams).toEqual([recipe]);
  const document = '.backups/collections/shop/collection.json';
  expect(await writer.putDocument(document, {name: 'shop', tables: ['a', 'b']})).toBe('written');
  expect(await writer.putDocument(document, {})).toBe('exists');
  expect(await vault.document(document)).toEqual({name: 'shop', tables: ['a', 'b']});
  await expect(vault.manifest(document)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  await writer.close();
});

test('a manifest that names a missing chunk is not committed', async () => {
  const store = newStore();
  const vault = await open(store);
  const writer = await vault.writer({purpose: 'test'});
  const recipe = await writer.write([{bytes: noise(1000, 1)}]);
  const foreign = {...recipe, chunks: ['a'.repeat(64) as ChunkId]};
  await expect(writer.commit(manifestKey('one'), manifestOf(foreign))).rejects.toMatchObject({code: 'OBJECT_MISSING'});
  await writer.flush();
  await store.delete(await keysOf(store, 'packs/'));
  await expect(writer.commit(manifestKey('one'), manifestOf(recipe))).rejects.toMatchObject({code: 'OBJECT_MISSING'});
  expect(await manifestsOf(store)).toEqual([]);
  await writer.close();
});

test('reading can be cancelled', async () => {
  const vault = await open(newStore());
  const recipe = await backup(
    vault,
    'one',
    Array.from({length: 50}, (_, seed) => ({bytes: noise(1000, seed)})),
  );
  const stop = new AbortController();
  const reading = (async () => {
    for await (const _ of vault.read(recipe, {signal: stop.signal})) stop.abort();
  })();
  await expect(reading).rejects.toMatchObject({name: 'AbortError'});
});

test('a source that waits for the memory of a piece ends when that piece cannot be encoded', async () => {
  const store = newStore();
  const first = noise(300_000, 1);
  const recipe = await backup(await open(store), 'one', [{bytes: first}]);
  // The base of a difference cannot be read.
  const vault = await open(
    wrapStore(store, {
      get: async (key, range) => {
        if (key.startsWith('packs/')) throw new BkpError('STORE_UNAVAILABLE', 'no answer');
        return store.get(key, range);
      },
    }),
  );
  let hasEnded = false;
  async function* pieces(): AsyncGenerator<Piece> {
    try {
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      yield {bytes: changed(first, 7), like: recipe.chunks[0]!, release};
      await released;
      yield {bytes: noise(1000, 2)};
    } finally {
      hasEnded = true;
    }
  }
  await expect(backup(vault, 'two', pieces())).rejects.toThrow('no answer');
  expect(hasEnded).toBe(true);
});

test.each([
  ['that compress', (number: number) => Buffer.alloc(300_000, `row ${number} `)],
  ['that do not', (number: number) => noise(300_000, number)],
])('a source with memory for one piece can write any number of pieces %s', async (_, content) => {
  const vault = await open(newStore());
  const memory = new Uint8Array(new SharedArrayBuffer(300_000));
  const numbers = Array.from({length: 12}, (_, number) => number);
  async function* pieces(): AsyncGenerator<Piece> {
    for (const number of numbers) {
      memory.set(content(number));
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      yield {bytes: memory, release};
      await released;
      memory.fill(0);
    }
  }
  const recipe = await backup(vault, 'one', pieces());
  expect((await readAll(vault, recipe)).equals(Buffer.concat(numbers.map(content)))).toBe(true);
});
