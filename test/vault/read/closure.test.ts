import {expect, test} from 'vitest';
import type {ChunkIndex} from '../../../src/vault/indexes/chunk-index.ts';
import type {Location} from '../../../src/vault/indexes/chunk-table.ts';
import {Closure} from '../../../src/vault/read/closure.ts';
import {SlidingClosure} from '../../../src/vault/read/sliding-closure.ts';
import type {StreamReader} from '../../../src/vault/read/stream-reader.ts';
import type {ChunkId, PackId, Recipe} from '../../../src/vault/types.ts';
import {randomFrom} from '../../helpers/random-from.ts';

const id = (n: number) => n.toString(16).padStart(64, '0') as ChunkId;
const missing = id(999);
const lost = id(998);

/** Chunks 1 to 60 in packs of ten; every third has a base; lists are chunks from 100 on. */
function fakeVault() {
  const lists = new Map<ChunkId, readonly ChunkId[]>();
  let looked = 0;
  const index = {
    locate(chunk: ChunkId): Location | undefined {
      looked++;
      if (chunk === missing) return undefined;
      const n = Number.parseInt(chunk, 16);
      const pack = id(1000 + Math.floor(n / 10)) as string as PackId;
      const base = n < 60 && n % 3 === 0 && n > 1 ? {base: id(n - 1)} : {};
      return {id: chunk, pack, offset: n * 100, storedBytes: n, plainBytes: n, encoding: 0, ...base} as Location;
    },
    rebuild: async () => {},
  };
  const reader = {
    async *ids({depth, chunks}: Recipe): AsyncGenerator<ChunkId> {
      for (const chunk of chunks) {
        if (depth === 0) yield chunk;
        else if (chunk === lost) throw new Error('this list is lost');
        else yield* lists.get(chunk)!;
      }
    },
  };
  return {
    index: index as unknown as ChunkIndex,
    reader: reader as unknown as StreamReader,
    lists,
    lookedUp: () => looked,
  };
}

/** What a closure says of what is needed. */
const stateOf = (closure: Closure) => ({
  packs: new Map([...closure.packs()].sort()),
  chunks: [...closure.packs().keys()].sort().map((pack) => closure.chunksOf(pack)),
  storedBytes: closure.storedBytes(),
  missing: closure.missing,
});

test('the closure of one backup after another is the one of each alone', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = randomFrom(seed);
    const below = (n: number) => Math.floor(random() * n);
    const {index, reader, lists} = fakeVault();
    const some = (most: number, make: () => ChunkId) => Array.from({length: 1 + below(most)}, make);
    for (let n = 100; n < 130; n++)
      lists.set(
        id(n),
        some(6, () => id(1 + below(60))),
      );
    for (let n = 130; n < 140; n++)
      lists.set(
        id(n),
        some(4, () => id(100 + below(30))),
      );
    const recipe = (): Recipe => {
      const depth = below(3);
      const from = [1, 100, 130][depth]!;
      const chunks = below(40) === 0 ? [missing] : some(5, () => id(from + below([60, 30, 10][depth]!)));
      return {
        sizeBytes: 0,
        depth: chunks[0] === missing ? 0 : depth,
        chunks: below(40) === 0 && depth > 0 ? [lost] : chunks,
      };
    };
    let streams = Array.from({length: 5}, recipe);
    const sliding = new SlidingClosure(index, reader);
    for (let backup = 0; backup < 20; backup++) {
      streams = streams.map((stream) => (below(3) === 0 ? recipe() : stream));
      const alone = new Closure(index, reader);
      let fault: unknown;
      for (const stream of streams) await alone.addStream(stream, (error) => (fault ??= error));
      if (fault === undefined) {
        expect(stateOf(await sliding.of(streams)), `seed ${seed}, backup ${backup}`).toEqual(stateOf(alone));
      } else await expect(sliding.of(streams), `seed ${seed}, backup ${backup}`).rejects.toThrow('this list is lost');
      alone.close();
    }
    sliding.close();
  }
});

test('what a backup shares with the one before is not looked up again', async () => {
  const {index, reader, lists, lookedUp} = fakeVault();
  lists.set(
    id(100),
    Array.from({length: 50}, (_, n) => id(n + 1)),
  );
  const shared = {sizeBytes: 0, depth: 1, chunks: [id(100)]};
  const sliding = new SlidingClosure(index, reader);
  await sliding.of([shared]);
  const before = lookedUp();
  for (let n = 51; n < 59; n++) await sliding.of([shared, {sizeBytes: 0, depth: 0, chunks: [id(n)]}]);
  expect(lookedUp() - before).toBeLessThan(20);
  sliding.close();
});

test('each stream that needs a lost list has that fault', async () => {
  const {index, reader} = fakeVault();
  const closure = new Closure(index, reader);
  const faults: unknown[] = [];
  for (const other of [1, 2]) {
    const recipe = {sizeBytes: 0, depth: 1, chunks: [lost]};
    await closure.addStream({...recipe, chunks: other === 1 ? [lost] : [lost, lost]}, (error) => faults.push(error));
    await closure.addStream(recipe, (error) => faults.push(error));
  }
  expect(faults).toHaveLength(4);
  closure.close();
});
