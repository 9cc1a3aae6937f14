import {type CollectionSummary, listCollections, type Storage} from '../../collections/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {placesOf, withVaultIfAny} from './places.ts';
import {openVaultAt, type Workplace} from './workplace.ts';

/** A collection, and which store it is in. */
export type StoredCollection = CollectionSummary & {storage: Storage};

/** `DATABASE`, `DATABASE EXCEPT a, b`, or the tables by name; null where the definition cannot be read. */
export function membersText({members}: CollectionSummary): string | null {
  if (members === undefined) return null;
  if (members.kind === 'tables') return members.tables.join(', ');
  return members.except === undefined ? 'DATABASE' : `DATABASE EXCEPT ${members.except.join(', ')}`;
}

/** The collections of every store in use. Throws as {@link ofEveryVault}. */
export async function allCollections(deps: Deps): Promise<readonly StoredCollection[]> {
  return ofEveryVault(deps, async (vault, place) =>
    (await listCollections(vault)).map((summary) => ({...summary, storage: place.storage})),
  );
}

/**
 * The results for each store's vault, in the order of the stores; a store without a vault has none.
 * @throws BkpError `VAULT_ABSENT` | `STORE_UNAVAILABLE` when no store has a vault: a disk may not be mounted
 */
export async function ofEveryVault<T>(
  deps: Deps,
  use: (vault: Vault, place: Workplace) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const places = await placesOf(deps);
  const found = await Promise.all(places.map((place) => withVaultIfAny(deps, place, (vault) => use(vault, place))));
  if (found.every((answer) => answer === undefined)) {
    // Throws the error of the first store.
    (await openVaultAt(deps, places[0], {create: false})).close();
  }
  return found.flatMap((answer) => answer ?? []);
}
