import {assert} from '../errors/index.ts';
import type {Store} from '../stores/index.ts';
import type {ChunkIndex} from './indexes/chunk-index.ts';
import type {ChunkReader} from './read/chunk-reader.ts';
import type {VaultReader} from './types.ts';

/** What another vault's writer needs of a vault that it copies from. */
export type VaultParts = {store: Store; index: ChunkIndex; reader: ChunkReader};

const partsByVault = new WeakMap<VaultReader, VaultParts>();

export function registerParts(vault: VaultReader, parts: VaultParts): void {
  partsByVault.set(vault, parts);
}

/** Kept out of the vault's own type, so that no other room sees packs and indexes. */
export function partsOf(vault: VaultReader): VaultParts {
  const parts = partsByVault.get(vault);
  assert(parts !== undefined, 'a vault was opened by openVault');
  return parts;
}
