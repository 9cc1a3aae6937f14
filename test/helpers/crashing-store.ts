import {type Store, wrapStore} from '../../src/stores/index.ts';

type CountedCalls = {wrap: (store: Store) => Store; calls: () => number};

/**
 * Kills this process (SIGKILL) right before the n-th call of the stores that it wraps, like a power cut.
 * @param at 0: never
 */
export const killedAtCall = (at: number): CountedCalls => beforeCall(at, () => process.kill(process.pid, 'SIGKILL'));

/** @param happens right before the n-th call of the stores that it wraps; 0: never */
export function beforeCall(at: number, happens: () => void): CountedCalls {
  let calls = 0;
  const beforeEachCall = () => {
    calls++;
    if (calls === at) happens();
  };
  const wrap = (store: Store): Store => {
    const {retain} = store;
    return wrapStore(store, {
      put: async (key, body, options) => {
        beforeEachCall();
        return store.put(key, body, options);
      },
      get: async (key, range) => {
        beforeEachCall();
        return store.get(key, range);
      },
      async *list(prefix, options) {
        beforeEachCall();
        yield* store.list(prefix, options);
      },
      delete: async (keys) => {
        beforeEachCall();
        return store.delete(keys);
      },
      stat: async (key) => {
        beforeEachCall();
        return store.stat(key);
      },
      ...(retain === undefined
        ? {}
        : {
            retain: async (keys) => {
              beforeEachCall();
              return retain.call(store, keys);
            },
          }),
    });
  };
  return {wrap, calls: () => calls};
}
