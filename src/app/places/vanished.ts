import {describeStore, type StoreAddress} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';

/** For a home that does not remember the vault, whose operations say that there was one. */
export function vanished(store: StoreAddress): BkpError {
  return new BkpError(
    'STORE_UNAVAILABLE',
    `there is no vault in ${describeStore(store)}, and operations have put backups there`,
    {
      next: 'is its disk mounted? If it was removed for good, bkp operation forget lets go of them',
    },
  );
}
