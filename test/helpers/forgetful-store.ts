import {type Store, wrapStore} from '../../src/stores/index.ts';

/**
 * A store that confirms each put, and does not keep the n-th one.
 * @param options.at number of the put, from 1; 0 = all are kept
 * @returns `puts`: the keys of the puts so far
 */
export function forgetfulStore(inner: Store, {at}: {at: number}): Store & {readonly puts: readonly string[]} {
  const puts: string[] = [];
  const store = wrapStore(inner, {
    put: async (key, body, options) => {
      puts.push(key);
      if (puts.length !== at) return inner.put(key, body, options);
      return options?.ifAbsent && (await inner.stat(key)) !== undefined ? 'exists' : 'written';
    },
  });
  return Object.assign(store, {puts});
}

/** Runs `work` in turn with each of its puts forgotten. `check` gets the error of the work, if it failed. */
export async function withEachPutForgotten(
  make: () => Promise<Store>,
  work: (store: Store) => Promise<unknown>,
  check: (made: {inner: Store; key: string; error: unknown}) => Promise<void>,
): Promise<void> {
  for (let at = 1; ; at++) {
    const inner = await make();
    const store = forgetfulStore(inner, {at});
    const error = await work(store).then(
      () => undefined,
      (thrown: unknown) => thrown ?? new Error('nothing was thrown'),
    );
    const key = store.puts[at - 1];
    if (key === undefined) {
      if (error !== undefined) throw error;
      return;
    }
    await check({inner, key, error});
  }
}
