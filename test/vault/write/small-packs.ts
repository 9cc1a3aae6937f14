import {expect} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import type {Piece, Recipe, Vault} from '../../../src/vault/index.ts';
import {backup, changed, keysOf, newStore, noise, open, readAll} from '../helpers.ts';

export async function merge(vault: Vault): Promise<number> {
  const collector = await vault.collector({purpose: 'merge'});
  try {
    return await collector.mergeSmall();
  } finally {
    await collector.close();
  }
}

export const count = async (store: Store) => {
  const keys = await keysOf(store);
  const below = (prefix: string) => keys.filter((key) => key.startsWith(prefix)).length;
  return {packs: below('packs/'), indexes: below('index/'), notes: below('removals/'), locks: below('locks/')};
};

/** 70 backups, each with a chunk of its own, one that differs a little from an older one, and one that is shared. */
export async function make(): Promise<{store: Store; backups: Map<Recipe, Buffer>}> {
  const store = newStore();
  const vault = await open(store);
  const backups = new Map<Recipe, Buffer>();
  const like: Recipe['chunks'][number][] = [];
  for (let seed = 0; seed < 70; seed++) {
    const old = Math.max(0, seed - 9);
    const pieces: Piece[] = [{bytes: noise(600, seed)}, {bytes: noise(400, 5000 + (seed % 7))}];
    if (seed > 0) pieces.push({bytes: changed(noise(600, old), 9), like: like[old]});
    const recipe = await backup(vault, String(seed).padStart(2, '0'), pieces);
    like.push(recipe.chunks[0]!);
    backups.set(recipe, Buffer.concat(pieces.map(({bytes}) => bytes)));
  }
  vault.close();
  return {store, backups};
}

export async function expectAllReadable(store: Store, backups: ReadonlyMap<Recipe, Buffer>): Promise<void> {
  const vault = await open(store);
  for (const [recipe, bytes] of backups) expect((await readAll(vault, recipe)).equals(bytes)).toBe(true);
  vault.close();
}
