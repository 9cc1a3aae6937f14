import type {Recipe} from '../../vault/index.ts';
import {type Layer, type StreamIndex, withStreams} from '../stored/layers.ts';

/** Collects the streams of a manifest while the manifest is built. */
export class StreamTable {
  readonly streams: Recipe[] = [];
  /** Equal recipes are one stream, so a layer that is taken over from the parent appears once. */
  readonly #known = new Map<string, StreamIndex>();

  add(recipe: Recipe): StreamIndex {
    const name = `${recipe.depth}:${recipe.sizeBytes}:${recipe.chunks.join()}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.streams.push(recipe);
    this.#known.set(name, this.streams.length - 1);
    return this.streams.length - 1;
  }

  /** Takes over a layer of another manifest. @returns the layer with its positions in this table */
  adopt(layer: Layer, from: readonly Recipe[]): Layer {
    return withStreams(layer, (stream) => this.add(from[stream]!));
  }
}
