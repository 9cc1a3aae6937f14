import {describeStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {
  type ExportedKeys,
  fingerprintOf,
  importKeys,
  openWithSlot,
  secretMissing,
  storeOf,
  unlock,
} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {rememberKeys} from '../places/encryption.ts';
import {forgetVault, knownRing} from '../places/known-vaults.ts';
import {secretFor, withOrigin} from '../places/secrets.ts';
import {openStoreAt, type Workplace} from '../places/workplace.ts';
import {onlyPlace} from './open-keys.ts';

export type Imported = {
  written: readonly string[];
  fingerprint: string;
  generation: number;
  /** The store has a newer ring than the file, which counts. */
  isOlder: boolean;
};

/**
 * Brings back what the store has lost of a vault's keys.
 * @param file its name, for messages
 * @throws BkpError `SECRET_MISSING` | `SECRET_WRONG` | `STORE_REFUSED` | `VAULT_ABSENT` | `OBJECT_DAMAGED`
 */
export async function importExportedKeys(
  deps: Deps,
  exported: ExportedKeys,
  {file, allowOlder}: {file: string; allowOlder: boolean},
): Promise<Imported> {
  const place = await onlyPlace(deps);
  const store = await openStoreAt(deps, place, {create: false});
  const {vault, generation} = exported;
  const inFile = await storeOf(exported, file);
  const secret = await secretFor(deps, {question: `password of the vault in ${file}`});
  if (secret === undefined) throw secretMissing(inFile);
  const pin = pinOf(deps, place, vault);
  // Ends here for a file that someone else made, or that opens with none of the user's secrets.
  const isPinnable = pin !== undefined && pin.generation <= generation;
  const {slot} = await unlock(inFile, secret, {vault, ...(isPinnable ? {pin} : {})}).catch(async (error: unknown) => {
    throw await withOrigin(deps, error);
  });
  if (pin !== undefined && !isPinnable && !allowOlder) {
    // Then the file can only add slots that this ring names.
    await openWithSlot(store, slot, {vault, pin}).catch((error: unknown) => {
      if (error instanceof BkpError && error.code === 'SECRET_WRONG') throw error;
      throw olderThanSeen({file, exported, seen: pin.generation}, error);
    });
  }
  const {written, isOlder} = await importKeys(store, exported);
  if (allowOlder && !isOlder) forgetVault(deps.home, place.store);
  const {ring} = await openWithSlot(store, slot, {vault});
  rememberKeys(deps, place, {vault, slot, keys: ring.keys});
  return {written, fingerprint: fingerprintOf(ring.keys), generation: ring.keys.generation, isOlder};
}

/** @throws BkpError `STORE_REFUSED` if this machine has seen another vault there */
function pinOf(deps: Deps, {store}: Pick<Workplace, 'store'>, vault: string) {
  const known = knownRing(deps.home, store);
  if (known === undefined || known.vault === vault) return known?.ring;
  throw new BkpError(
    'STORE_REFUSED',
    `the file is of vault ${vault}, and ${describeStore(store)} held ${known.vault}`,
    {
      next: 'name the store of the file, or the file of the store; nothing was changed',
    },
  );
}

function olderThanSeen(
  {file, exported, seen}: {file: string; exported: ExportedKeys; seen: number},
  cause: unknown,
): BkpError {
  return new BkpError('STORE_REFUSED', `${file} is older than the keys that this machine has seen`, {
    cause,
    details: [`it has ring ${exported.generation} of ${exported.made}, and ring ${seen} was seen`],
    next:
      'import a newer export; if there is none, with --allow-older: slots that were removed since then open the ' +
      'vault again, and what was sealed with newer keys cannot be read',
  });
}
