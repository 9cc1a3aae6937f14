import {BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Store} from '../../stores/index.ts';
import {readIndex} from '../format/index-object.ts';
import {indexKey, indexOfKey, indexPrefix} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {Findings} from './findings.ts';

/** Indexes read concurrently; each is small. */
const indexesAtOnce = 4;

/**
 * Reads every index in the store, because the local copy does not show damage that happened later. The copy forgets a
 * damaged index, so that the next writer lists its packs again.
 */
export async function verifyIndexes(
  {store, index}: {store: Store; index: ChunkIndex},
  signal: AbortSignal | undefined,
): Promise<Findings> {
  const findings = new Findings();
  await forEachConcurrent(store.list(indexPrefix), indexesAtOnce, async ({key}) => {
    signal?.throwIfAborted();
    const id = indexOfKey(key);
    if (id === undefined) return;
    try {
      await readIndex(store, id);
    } catch (error) {
      // A collector replaced it after it was listed, so nothing needs it.
      if (error instanceof BkpError && error.code === 'OBJECT_MISSING') return;
      findings.addError(error, {key: indexKey(id)});
      index.forget(id);
    }
  });
  return findings;
}
