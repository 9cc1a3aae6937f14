import {describeStore, sameStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Deps} from '../deps.ts';
import {placeNamed, placesOf, withVaultIfAny} from '../places/places.ts';
import {isWithoutFolder, type Workplace} from '../places/workplace.ts';

/**
 * The store that HEAL reads from, bound to the vault that it has now.
 * @param wish `true`: the profile's other store; or a store as `COPY … TO` names it
 * @param healed the store that is verified
 * @throws BkpError `BAD_REQUEST` | `VAULT_ABSENT` | `STORE_UNAVAILABLE`
 */
export async function placeToHealFrom(deps: Deps, wish: string, healed: Workplace): Promise<Workplace> {
  const place = await named(deps, wish, healed);
  if (sameStore(place.store, healed.store)) {
    throw new BkpError('BAD_REQUEST', 'a store cannot be healed from itself', {
      next: "name the store that has a copy: HEAL='fs::root=/mnt/usb/backups', 'cluster' or 's3'",
    });
  }
  const bound = await withVaultIfAny(deps, place, async (vault) => ({...place, vault: vault.id}));
  if (bound !== undefined) return bound;
  const address = describeStore(place.store);
  throw new BkpError(
    isWithoutFolder(place.store) ? 'STORE_UNAVAILABLE' : 'VAULT_ABSENT',
    `there is no copy to heal from in ${address}`,
    {
      next:
        'name the store that has one (is its disk mounted?); ' +
        `COPY BACKUP COLLECTION … TO '${address}' makes a copy of a collection that is intact`,
    },
  );
}

async function named(deps: Deps, wish: string, healed: Workplace): Promise<Workplace> {
  if (wish.toLowerCase() !== 'true') return placeNamed(deps, wish);
  const other = (await placesOf(deps)).find((place) => !sameStore(place.store, healed.store));
  if (other !== undefined) return other;
  throw new BkpError('BAD_REQUEST', 'there is no second store to heal from', {
    cause: "HEAL='true' is the profile's other store, and the profile has only this one",
    next: "name the store that has a copy: HEAL='fs::root=/mnt/usb/backups'",
  });
}
