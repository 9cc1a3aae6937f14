import {type Store, wrapStore} from '../../src/stores/index.ts';

/**
 * The store, with something done before some of its calls.
 * @param act of the n-th call (from 1) that touches an object of that key
 */
export function hooked(store: Store, act: (call: 'put' | 'get', key: string, n: number) => Promise<void>): Store {
  let n = 0;
  return wrapStore(store, {
    put: async (key, body, options) => {
      await act('put', key, ++n);
      return store.put(key, body, options);
    },
    get: async (key, range) => {
      await act('get', key, ++n);
      return store.get(key, range);
    },
  });
}

/** Once, before the n-th call of that kind to an object below `prefix`. All calls that come meanwhile wait for it. */
export function once(
  wanted: {call: 'put' | 'get'; prefix: string; at: number},
  act: () => Promise<void>,
): {hook: Parameters<typeof hooked>[1]; done: () => boolean} {
  let seen = 0;
  let acting: Promise<void> | undefined;
  return {
    hook: async (call, key) => {
      if (call === wanted.call && key.startsWith(wanted.prefix) && ++seen === wanted.at) acting = act();
      await acting;
    },
    done: () => acting !== undefined,
  };
}
