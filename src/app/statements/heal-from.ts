import {sameStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Deps} from '../deps.ts';
import {placeNamed, placesOf} from '../places/places.ts';
import {type Workplace, withVault} from '../places/workplace.ts';

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
  return withVault({deps, place}, {create: false}, async (_, bound) => bound);
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
