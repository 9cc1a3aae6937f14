import {idBytes, toBytes} from '../format/hash.ts';
import type {IdBytes, Recipe} from '../types.ts';
import type {StreamReader} from './stream-reader.ts';

/** See `VaultReader.readIds`. */
export async function readIds(reader: StreamReader, recipe: Recipe, length: number): Promise<IdBytes | undefined> {
  if (recipe.depth === 0)
    return recipe.chunks.length === length ? Buffer.concat(recipe.chunks.map(toBytes)) : undefined;
  const into = Buffer.alloc(length * idBytes);
  let at = 0;
  // The stream one level up is the ids. Read as bytes, because millions of ids do not fit into memory as strings.
  for await (const part of reader.read({...recipe, sizeBytes: into.length, depth: recipe.depth - 1})) {
    if (at + part.length > into.length) return undefined;
    into.set(part, at);
    at += part.length;
  }
  return at === into.length ? into : undefined;
}
