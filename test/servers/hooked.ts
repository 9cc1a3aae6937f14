import {type Store, wrapStore} from '../../src/stores/index.ts';

/**
 * The same store, with an action before puts and gets.
 * @param act called before the n-th of them (from 1) with its key
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

/** Runs `act` once, before the n-th call of that kind to an object below `prefix`. Calls during `act` wait for it. */
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
