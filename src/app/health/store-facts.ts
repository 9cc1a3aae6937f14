import {type CollectionStanding, collectionStandings, type Storage} from '../../collections/index.ts';
import {type StoreAddress, sameStore} from '../../config/index.ts';
import {type DatabaseStanding, databaseStandings} from '../../database/index.ts';
import {asPlain, BkpError, renderError} from '../../errors/index.ts';
import type {Deps} from '../deps.ts';
import {placesOf, withVaultIfAny} from '../places/places.ts';
import {vanished} from '../places/vanished.ts';

export type StoreFacts = {storage: Storage} & (
  | {reachable: true; collections: readonly CollectionStanding[]; databases: readonly DatabaseStanding[]}
  /** `why` as an error is printed. */
  | {reachable: false; why: string}
);

/**
 * Each store in use. A store without a vault is left out, because it may never have held backups. If operations
 * have written backups there, its disk is not mounted or the bucket was emptied: then it is reported as
 * unreachable.
 */
export async function storeFacts(deps: Deps, storesWithBackups: readonly StoreAddress[]): Promise<StoreFacts[]> {
  const facts: StoreFacts[] = [];
  for (const place of await placesOf(deps)) {
    const {storage} = place;
    try {
      const found = await withVaultIfAny(deps, place, async (vault) => ({
        collections: await collectionStandings(vault),
        databases: await databaseStandings(vault),
      }));
      if (found !== undefined) facts.push({storage, reachable: true, ...found});
      else if (storesWithBackups.some((store) => sameStore(store, place.store))) throw vanished(place.store);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      facts.push({storage, reachable: false, why: renderError(asPlain(error))});
    }
  }
  return facts;
}
