import {expect, test} from 'vitest';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {type ChunkId, chunkId, IdList, openVault} from '../../../src/vault/index.ts';

const idOf = (text: string) => chunkId(Buffer.from(text));

async function written(ids: readonly ChunkId[]) {
  const vault = await openVault({store: openMemoryStore(), create: true});
  const writer = await vault.writer({purpose: 'test'});
  try {
    const recipe = await writer.writeIds(IdList.of(ids).bytes(), 10 * ids.length);
    await writer.flush();
    expect(recipe.sizeBytes).toBe(10 * ids.length);
    const readBack = await vault.readIds(recipe, ids.length);
    expect(readBack).toEqual(IdList.of(ids).bytes());
    if (ids.length > 0) expect(await vault.readIds(recipe, ids.length - 1)).toBeUndefined();
    return recipe;
  } finally {
    await writer.close();
    vault.close();
  }
}

// Literal values of the format: another cut would store every database's lists of ids a second time.
test.each([
  [0, 0, 0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [128, 0, 128, 'aaf2f879f8dd867c890a48f22e90cf85976b96ae70c346a0240e6a1e0123f023'],
  [129, 1, 1, 'c9fe102a9795d1b4a8c978b6bac0fce8ee0079baa83b80ac08e8d86516419dbc'],
  [20_000, 2, 5, 'b6095f8fe48e1152b4fe353ec79a4ab7d046ded8abd04ffb4e8c5856dfe19899'],
])('the recipe of %i ids has depth %i, %i chunks and the same ids as ever', async (count, depth, length, hash) => {
  const recipe = await written(Array.from({length: count}, (_, at) => idOf(String(at))));
  expect(recipe).toMatchObject({depth});
  expect(recipe.chunks).toHaveLength(length);
  expect(idOf(recipe.chunks.join('\n'))).toBe(hash);
});

test('lists whose ids never end one are cut after 4096 ids', async () => {
  const recipe = await written(Array.from({length: 10_000}, () => idOf('1')));
  const full = '3cd8d852e9bd0f4d1cf13d9ea3dce21b051c8e8e8e3b06a0f7864cbbc34aa340';
  const rest = '5b634c062dd273e6ffd7624b9eb936f59f2972cf42819910c04bd63ff3f23fa3';
  expect(recipe).toMatchObject({depth: 1, chunks: [full, full, rest]});
});
