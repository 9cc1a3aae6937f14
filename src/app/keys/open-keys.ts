import {describeStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import {changeKeys, type KeyChange, type KeysChanged, readHeader, type Unlocked} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {keyTools, rememberKeys, requireNeverEncrypted, unlockAt} from '../places/encryption.ts';
import {placesOf} from '../places/places.ts';
import {openStoreAt, type Workplace} from '../places/workplace.ts';

/** The keys of an encrypted vault, opened with a secret of this process. */
export type OpenedKeys = {
  place: Workplace;
  store: Store;
  vault: string;
  conditionalWrites: boolean;
  unlocked: Unlocked;
};

/**
 * The only store of the profile, or the chosen one.
 * @throws BkpError `USAGE` if the profile has two and none was chosen
 */
export async function onlyPlace(deps: Deps): Promise<Workplace> {
  const [place, ...others] = await placesOf(deps);
  if (others.length === 0) return place;
  throw new BkpError('USAGE', 'the profile has two stores, each of which has a vault of its own', {
    next: 'choose one: --store cluster or --store s3',
  });
}

/**
 * Reads the ring, and nothing else of the vault.
 * @throws BkpError `VAULT_ABSENT` | `PRECONDITION` (it is not encrypted), `STORE_REFUSED` and what unlocking throws
 */
export async function openKeys(deps: Deps): Promise<OpenedKeys> {
  const place = await onlyPlace(deps);
  const store = await openStoreAt(deps, place, {create: false});
  const header = await readHeader(store);
  const where = describeStore(place.store);
  if (header === undefined) {
    throw new BkpError('VAULT_ABSENT', `there is no vault in ${where}`, {
      next: 'name the store that holds your backups (--store, --cluster), or make a vault: bkp vault create --encrypt',
    });
  }
  if (header.encryption === 'none') {
    requireNeverEncrypted(deps, place, header.id);
    throw new BkpError('PRECONDITION', `the vault in ${where} is not encrypted, so it has no keys`, {
      cause: 'encryption is chosen when a vault is made',
      next:
        "set a password (bkp config set vault.password.command '…'), then copy its collections into an empty store: " +
        `bkp sql "COPY BACKUP COLLECTION … TO '…'"`,
    });
  }
  const {id: vault, conditionalWrites} = header;
  return {place, store, vault, conditionalWrites, unlocked: await unlockAt(deps, place, {store, vault})};
}

/**
 * Writes the next ring, of which this home then accepts no older one.
 * @throws BkpError as {@link changeKeys}
 */
export async function changeOpenedKeys(deps: Deps, opened: OpenedKeys, change: KeyChange): Promise<KeysChanged> {
  const {place, store, vault, unlocked} = opened;
  const changed = await changeKeys(keyTools(deps, store, opened), unlocked, change);
  rememberKeys(deps, place, {vault, slot: unlocked.slot, keys: changed.ring.keys});
  if (!changed.isComplete) {
    deps.warn(
      changed.isTwice
        ? 'the change is made, but the slots and rings that it replaces are still in the store: an object lock ' +
            'protects them, or the access key may not remove objects. The next change that may do so removes them'
        : 'the change is made, but the store has only one copy of it: bkp doctor --repair writes the other',
    );
  }
  return changed;
}
