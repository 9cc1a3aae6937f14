import {describeStore, type StoreAddress, sameStore} from '../config/index.ts';
import {BkpError} from '../errors/index.ts';
import type {Deps} from './deps.ts';
import {journalFacts} from './metrics/journal-facts.ts';
import {withVaultIfAny} from './places.ts';
import type {Workplace} from './workplace.ts';

/**
 * A disk that is not mounted looks like an empty store: no new vault is made where operations have put backups.
 * @throws BkpError `STORE_UNAVAILABLE`
 */
export async function refuseVanished(deps: Deps, place: Workplace): Promise<void> {
  if ((await withVaultIfAny(deps, place, async () => true)) === true) return;
  const {storesWithBackups} = journalFacts(await deps.journal());
  if (storesWithBackups.some((store) => sameStore(store, place.store))) throw vanished(place.store);
}

export function vanished(store: StoreAddress): BkpError {
  return new BkpError(
    'STORE_UNAVAILABLE',
    `there is no vault in ${describeStore(store)}, and operations have put backups there`,
    {
      next: 'is its disk mounted? If it was removed for good, bkp operation forget lets go of them',
    },
  );
}
