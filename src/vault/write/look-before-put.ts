import {type Store, wrapStore} from '../../stores/index.ts';
import {locksPrefix} from '../format/key.ts';

/**
 * Wraps a store that ignores `ifAbsent`: checks whether the key exists before each put. Two writers that check one key
 * at the same time both write. Nothing depends on more than this check (docs/format.md says what prevents such
 * writers): it protects existing objects from being overwritten later.
 * @param isNeeded called before each put. Default: always
 */
export function lookBeforePut(store: Store, isNeeded: () => boolean = () => true): Store {
  return wrapStore(store, {
    async put(key, body, options) {
      // The key of a lease is random and used once, so it cannot exist.
      const isChecked = options?.ifAbsent && !key.startsWith(locksPrefix) && isNeeded();
      if (isChecked && (await store.stat(key)) !== undefined) return 'exists';
      return store.put(key, body, options);
    },
  });
}
