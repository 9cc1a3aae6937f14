import {expect, test} from 'vitest';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {chunkId, openVault, type Piece} from '../../../src/vault/index.ts';

test('a stream is written from new pieces and chunks that the vault has, in their order', async () => {
  const vault = await openVault({store: openMemoryStore(), create: true});
  const write = async (pieces: readonly Piece[]) => {
    const writer = await vault.writer({purpose: 'test'});
    try {
      const recipe = await writer.write(pieces);
      expect(writer.keptBytes(chunkId(Buffer.from('nothing')))).toBeUndefined();
      await writer.commit('backup/a/1/manifest', {kind: 'test', streams: [recipe], body: null});
      return {recipe, logicalBytes: writer.stats.logicalBytes, newChunks: writer.stats.newChunks};
    } finally {
      await writer.close();
    }
  };
  const first = await write([{bytes: Buffer.from('one')}, {bytes: Buffer.from('three')}]);
  const [one, three] = first.recipe.chunks;
  const noBytes = new Uint8Array();
  const second = await write([{bytes: noBytes, kept: one}, {bytes: Buffer.from('two')}, {bytes: noBytes, kept: three}]);
  expect(second).toMatchObject({logicalBytes: 'onetwothree'.length, newChunks: 1});
  expect(second.recipe.sizeBytes).toBe('onetwothree'.length);
  const read: Uint8Array[] = [];
  for await (const chunk of vault.read(second.recipe)) read.push(chunk);
  expect(Buffer.concat(read).toString()).toBe('onetwothree');
  await expect(write([{bytes: noBytes, kept: chunkId(Buffer.from('nothing'))}])).rejects.toThrow('is in the vault');
  vault.close();
});
