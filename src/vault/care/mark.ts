import {BkpError} from '../../errors/index.ts';
import type {Key, Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {readManifest} from '../format/manifest.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {Closure} from '../read/closure.ts';
import {chunkMissing} from '../read/recovery.ts';
import type {StreamReader} from '../read/stream-reader.ts';

export type MarkDeps = {store: Store; index: ChunkIndex; reader: StreamReader};

/**
 * What all these manifests need. Close the result.
 * @throws BkpError if a manifest or a list cannot be read, or a chunk is missing: a collector guesses nothing
 */
export async function markNeeded(
  {store, index, reader}: MarkDeps,
  manifests: readonly Key[],
  signal: AbortSignal | undefined,
): Promise<Closure> {
  const closure = new Closure(index, reader);
  try {
    for (const key of manifests) {
      signal?.throwIfAborted();
      const manifest = await readManifest(store, key).catch((error: unknown) => {
        throw refusal(`the manifest ${key} cannot be read`, error);
      });
      const refuse = (error: unknown) => {
        throw refusal(`data that ${key} needs is missing or damaged`, error);
      };
      for (const recipe of manifest.streams) await closure.addStream(recipe, refuse, signal);
      for (const id of closure.missing) refuse(chunkMissing(id));
    }
    return closure;
  } catch (error) {
    closure.close();
    throw error;
  }
}

export function refusal(what: string, cause: unknown): unknown {
  if (!isDamage(cause)) return cause;
  return new BkpError(cause.code, `no data was removed: ${what}`, {
    cause,
    next: 'VERIFY the collection; then repair it, or drop it, and clean up again',
    context: cause.context,
  });
}
