import {type OpenedBackup, openBackup} from '../../collections/index.ts';
import {BkpError} from '../../errors/index.ts';
import {backupRef, storedTableName} from '../../sql/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {placeOfCollection} from '../places/places.ts';
import {requireCollectionsAt} from '../places/source-places.ts';
import {openVaultAt, type Workplace} from '../places/workplace.ts';

/** A collection, and perhaps one of its backups, as a user names them. */
export type NamedBackup = {collection: string; point?: string | undefined};

const place = {line: 1, column: 1};

/** Throws as `backupRef`. */
export function refOf(
  {nowMicros}: Pick<Deps, 'nowMicros'>,
  {collection, point}: NamedBackup,
): {collection: string; point: string | undefined} {
  const name = {text: collection, place};
  const ref = backupRef(point === undefined ? {collection: name} : {collection: name, point}, nowMicros());
  return {collection: ref.collection, point: ref.point};
}

export const plainTable = (name: string) => storedTableName({text: name, place});

/** The vault that has the collection; the caller closes it. */
export async function openVaultOf(deps: Deps, collection: string): Promise<{vault: Vault; place: Workplace}> {
  const found = await placeOfCollection(deps, collection, {defines: false});
  return {vault: await openVaultAt(deps, found, {create: false, signal: deps.signal}), place: found};
}

/**
 * A backup of a collection to look into.
 * @throws BkpError also `UNSUPPORTED` if there is no such collection and the source can have none
 */
export async function openNamed(
  {vault, place}: {vault: Vault; place: Workplace},
  ref: ReturnType<typeof refOf>,
): Promise<OpenedBackup> {
  return openBackup(vault, ref).catch(async (error: unknown) => {
    if (error instanceof BkpError && error.code === 'COLLECTION_NOT_FOUND') await requireCollectionsAt(place);
    throw error;
  });
}

/** The vault is closed again. */
export async function withBackup<T>(
  deps: Deps,
  named: NamedBackup,
  use: (opened: OpenedBackup, place: Workplace) => Promise<T>,
): Promise<T> {
  const {collection, point} = refOf(deps, named);
  const {vault, place: found} = await openVaultOf(deps, collection);
  try {
    return await use(await openNamed({vault, place: found}, {collection, point}), found);
  } finally {
    vault.close();
  }
}

/** Ends the progress line; an error that a Ctrl-C caused becomes one that says so. */
export async function interruptible<T>(deps: Deps, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw deps.signal.aborted ? new BkpError('INTERRUPTED', `${what} was interrupted; nothing is left behind`) : error;
  } finally {
    deps.showProgress?.(undefined);
  }
}
