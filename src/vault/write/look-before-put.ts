import type {Store} from '../../stores/index.ts';
import {locksPrefix} from '../format/key.ts';

/**
 * A store that ignores `ifAbsent`, made to honour it as far as a look can: of two writers of one key that look at the same
 * moment both write. Nothing rests on more than that (docs/format.md says what excludes the two): it keeps a name that was
 * taken long ago from being written over.
 * @param isNeeded asked before each put. Default: always
 */
export function lookBeforePut(store: Store, isNeeded: () => boolean = () => true): Store {
  const {retain, traffic} = store;
  return {
    description: store.description,
    async put(key, body, options) {
      // A lease's key is random and used once: there is nothing to look for.
      const isLooked = options?.ifAbsent && !key.startsWith(locksPrefix) && isNeeded();
      if (isLooked && (await store.stat(key)) !== undefined) return 'exists';
      return store.put(key, body, options);
    },
    get: (key, range) => store.get(key, range),
    list: (prefix) => store.list(prefix),
    delete: (keys) => store.delete(keys),
    stat: (key) => store.stat(key),
    ...(retain === undefined ? {} : {retain: (keys) => retain.call(store, keys)}),
    ...(traffic === undefined ? {} : {traffic: () => traffic.call(store)}),
  };
}
