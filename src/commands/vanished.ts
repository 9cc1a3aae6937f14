import {describeStore, type StoreAddress, sameStore} from '../config/index.ts';
import {BkpError} from '../errors/index.ts';
import {isBackupKind} from '../ops/index.ts';
import type {Deps} from './deps.ts';
import {withVaultIfAny} from './places.ts';
import {allOperations} from './sql/all-operations.ts';
import type {WorkOrder} from './worker/order.ts';
import type {Workplace} from './workplace.ts';

/**
 * A disk that is not mounted looks like an empty store: no new vault is made where operations have put backups.
 * @throws BkpError `STORE_UNAVAILABLE`
 */
export async function refuseVanished(deps: Deps, place: Workplace): Promise<void> {
  if ((await withVaultIfAny(deps, place, async () => true)) === true) return;
  const putThere = allOperations(await deps.journal()).some(
    ({kind, state, work}) =>
      isBackupKind(kind) &&
      state.name === 'done' &&
      state.outcome.status === 'SUCCESS' &&
      sameStore((work as WorkOrder).place.store, place.store),
  );
  if (putThere) throw vanished(place.store);
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
