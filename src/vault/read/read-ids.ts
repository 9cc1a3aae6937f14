import {IdList} from '../format/id-list.ts';
import type {Recipe} from '../types.ts';
import type {StreamReader} from './stream-reader.ts';

/** See `VaultReader.readIds`. */
export async function readIds(reader: StreamReader, recipe: Recipe, length: number): Promise<IdList | undefined> {
  if (recipe.depth === 0) return recipe.chunks.length === length ? IdList.of(recipe.chunks) : undefined;
  const ids = new IdList(length);
  const into = ids.bytes();
  let at = 0;
  // The stream one level up is the ids. Read as bytes, because millions of ids do not fit into memory as strings.
  for await (const part of reader.read({...recipe, sizeBytes: into.length, depth: recipe.depth - 1})) {
    if (at + part.length > into.length) return undefined;
    into.set(part, at);
    at += part.length;
  }
  return at === into.length ? ids : undefined;
}
