import type {RestoreReport} from '../../src/collections/index.ts';
import type {BkpError} from '../../src/errors/index.ts';
import type {TableSource} from '../../src/sources/index.ts';
import {wrapStore} from '../../src/stores/index.ts';
import {type Bench, inProcess} from './in-process.ts';

/** What a restore did, or why it did nothing. `fetched`: bytes of packs, those that were read twice counted once. */
export type RestoreEnd = {report?: RestoreReport; error?: BkpError; notices: readonly string[]; fetched: number};

/** @param restore as for `Bench.restore` */
export function countedRestore(
  place: {database: string | TableSource; cluster: string},
  ...restore: Parameters<Bench['restore']>
): Promise<RestoreEnd> {
  const notices: string[] = [];
  const fetched = new Set<string>();
  const bench = inProcess({
    ...{...place, notice: (text) => void notices.push(text)},
    store: (store) =>
      wrapStore(store, {
        get: async (key, range) => {
          const bytes = await store.get(key, range);
          const start = range?.start ?? 0;
          if (key.startsWith('packs/')) bytes.forEach((_, at) => void fetched.add(`${key} ${start + at}`));
          return bytes;
        },
      }),
  });
  return bench.restore(...restore).then(
    (report) => ({report, notices, fetched: fetched.size}),
    (error: BkpError) => ({error, notices, fetched: fetched.size}),
  );
}
