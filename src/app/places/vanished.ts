import {describeStore, type StoreAddress} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';

/** For a home without a record of the vault, whose operations have written backups there. */
export function vanished(store: StoreAddress): BkpError {
  return new BkpError(
    'STORE_UNAVAILABLE',
    `there is no vault in ${describeStore(store)}, but operations have written backups there`,
    {
      next: 'is its disk mounted? If it was removed permanently, bkp operation forget removes these operations',
    },
  );
}
