import {expect, test} from 'vitest';
import {chunkEncodings, type Entry, type PackListing} from '../../../src/vault/format/entry.ts';
import {chunkId, hashHex} from '../../../src/vault/format/hash.ts';
import type {IndexId} from '../../../src/vault/format/key.ts';
import {CacheFile} from '../../../src/vault/indexes/cache-file.ts';
import {ChunkTables} from '../../../src/vault/indexes/chunk-tables.ts';
import type {PackId} from '../../../src/vault/types.ts';
import fc from '../../seeds/fast-check.ts';

/** Few chunks, so that most are in several packs. */
const chunk = (number: number) => chunkId(Buffer.of(number));
const chunkNumber = fc.nat(9);

const entries = fc.uniqueArray(fc.record({chunk: chunkNumber, base: fc.option(chunkNumber, {nil: undefined})}), {
  selector: (entry) => entry.chunk,
});

function listing(number: number, of: readonly {chunk: number; base: number | undefined}[]): PackListing {
  const entry = ({chunk: own, base}: (typeof of)[number], at: number): Entry => ({
    id: chunk(own),
    offset: at,
    storedBytes: 1,
    plainBytes: 1,
    encoding: base === undefined ? chunkEncodings.zstd : chunkEncodings.zstdWithBase,
    base: base === undefined ? undefined : chunk(base),
  });
  return {id: hashHex(Buffer.from(`pack ${number}`)) as PackId, lengthBytes: 100, entries: of.map(entry)};
}

test('the places of several chunks are those of the locations of each, in the same order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entries), fc.array(entries), fc.array(fc.nat(12)), async (listed, unlisted, wanted) => {
      const tables = new ChunkTables(CacheFile.private());
      try {
        const packs = listed.map((pack, number) => listing(number, pack));
        await tables.listed.add(hashHex(Buffer.of(1)) as string as IndexId, packs);
        for (const [number, pack] of unlisted.entries()) await tables.addUnlisted(listing(100 + number, pack));
        const chunks = wanted.map(chunk);
        const places = chunks.map((id) => tables.locations(id).map(({pack, base}) => ({pack, base})));
        expect(tables.places(chunks)).toEqual(places);
      } finally {
        tables.close();
      }
    }),
    {numRuns: 50},
  );
});
