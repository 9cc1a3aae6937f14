import type {Storage} from '../../collections/index.ts';
import {describeStore, type StoreAddress} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import {
  createKeys,
  type OpenedSlot,
  openWithSlot,
  secretMissing,
  unlock,
  type VaultEncryption,
  type VaultKeys,
} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {knownRing, rememberRing} from './known-vaults.ts';
import {isSecretConfigured, secretFor} from './secrets.ts';

/** A store, and which of the profile's two it is or replaces. */
type Place = {store: StoreAddress; storage: Storage};

/** What the settings say about one of the profile's stores. */
async function modeOf(deps: Deps, {storage}: Pick<Place, 'storage'>): Promise<'auto' | 'required' | 'off'> {
  const {clusterEncryption, s3Encryption} = await deps.settings();
  return storage === 's3' ? s3Encryption : clusterEncryption;
}

/**
 * How the vault at a place is opened or made.
 * @param take is given the keys when they are known
 */
export async function encryptionAt(
  deps: Deps,
  place: Place,
  take: (keys: VaultKeys) => void,
): Promise<VaultEncryption> {
  const mode = await modeOf(deps, place);
  const isConfigured = await isSecretConfigured(deps);
  const remember = (vault: string, slot: OpenedSlot, keys: VaultKeys) => {
    deps.keyChain?.slots.set(vault, slot);
    const {generation, commitment} = keys;
    rememberRing(deps.home, place.store, {vault, ring: {generation, commitment}});
    take(keys);
    return keys;
  };
  const open = async (store: Store, vault: string) => {
    const pinned = knownRing(deps.home, place.store);
    if (pinned !== undefined && pinned.vault !== vault) throw otherVault(place, pinned.vault, vault);
    const options = {vault, pin: pinned?.ring};
    const known = deps.keyChain?.slots.get(vault);
    if (known !== undefined) return remember(vault, known, (await openWithSlot(store, known, options)).keys);
    const secret = await secretFor(deps, `password of the vault in ${store.description}`);
    if (secret === undefined) throw secretMissing(store);
    const {ring, slot} = await unlock(store, secret, options);
    return remember(vault, slot, ring.keys);
  };
  return {
    isWanted: mode === 'required' || (mode === 'auto' && (isConfigured || deps.keyChain?.typed !== undefined)),
    unlock: open,
    create: async (store, vault) => {
      const secret = await secretFor(deps, `new password for the vault in ${store.description}`);
      if (secret === undefined) throw secretMissing(store);
      const label = deps.env.HOSTNAME ?? 'first';
      const {ring, slot} = await createKeys({store, nowMs: deps.nowMicros() / 1000}, vault, {secret, label});
      return remember(vault, slot, ring.keys);
    },
    allowPlain: (vault) => {
      const pinned = knownRing(deps.home, place.store);
      if (pinned !== undefined) throw downgraded(place, pinned.vault, vault);
      if (mode === 'off' || (mode === 'auto' && !isConfigured)) return;
      throw notEncrypted(place, mode);
    },
  };
}

/** The store was emptied and filled by someone else, or belongs to another vault. */
function otherVault({store}: Pick<Place, 'store'>, before: string, now: string): BkpError {
  return new BkpError('STORE_REFUSED', `${describeStore(store)} holds another encrypted vault than before`, {
    cause: `it was ${before}, it is ${now}`,
    next: 'if it was replaced on purpose, forget the one before: bkp store forget',
    context: {missing: 'vault'},
  });
}

function downgraded({store}: Pick<Place, 'store'>, before: string, now: string): BkpError {
  return new BkpError('STORE_REFUSED', `the vault in ${describeStore(store)} is not encrypted, but was before`, {
    cause: before === now ? 'its header was replaced' : `vault ${before} was replaced by ${now}`,
    next: 'ask whoever manages the store; if it was replaced on purpose: bkp store forget',
    context: {missing: 'vault'},
  });
}

function notEncrypted({store, storage}: Place, mode: 'auto' | 'required'): BkpError {
  const why = mode === 'required' ? `vault.${storage}.encryption is required` : 'a password is set';
  return new BkpError('STORE_REFUSED', `the vault in ${describeStore(store)} is not encrypted`, {
    cause: `${why}, so bkp writes nothing in plain`,
    next: `choose an empty store, or use this one as it is: bkp config set vault.${storage}.encryption off`,
  });
}
