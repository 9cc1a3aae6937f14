import {BkpError} from '../../errors/index.ts';
import type {Key, Store} from '../../stores/index.ts';
import {damaged, unlessDamaged} from './damage.ts';
import {holdsBackups, putHeader, readHeader} from './header.ts';
import {keysPrefix} from './key.ts';

/**
 * Writes a lost or damaged header again. No backup needs it: it only says that the store is a vault of this
 * format, and which one.
 * @param id the vault's id if it is known, else a new one
 * @returns false when there is nothing to repair: the header is intact, or the store contains no backups
 * @throws BkpError `STORE_REFUSED` when the header is of a newer format, or of another program
 */
export async function repairHeader(store: Store, id: string): Promise<boolean> {
  const state = await readHeader(store).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_DAMAGED') return 'damaged' as const;
    throw error;
  });
  if (state !== undefined && state !== 'damaged') return false;
  const keys = await vaultOfKeys(store);
  if (keys === undefined && !(await holdsBackups(store))) return false;
  const header = keys === undefined ? {id, encryption: 'none' as const} : {id: keys, encryption: 'bkp-1' as const};
  await putHeader(store, header, {replaces: state === 'damaged'});
  return true;
}

/**
 * The vault whose keys are in the store: it is encrypted, and its id is a part of every seal.
 * @returns undefined if there are no keys
 * @throws BkpError `OBJECT_DAMAGED` if none of them can be read
 */
async function vaultOfKeys(store: Store): Promise<string | undefined> {
  let last: Key | undefined;
  for await (const {key} of store.list(keysPrefix)) {
    last = key;
    const bytes = await unlessDamaged(store.get(key));
    const id = bytes && vaultIn(bytes);
    if (id !== undefined) return id;
  }
  if (last === undefined) return undefined;
  throw damaged(last, 'and so is every other object below keys/, which would say which vault this is');
}

/** Slots and rings say so in plain; what is sealed in them proves it. */
function vaultIn(bytes: Uint8Array): string | undefined {
  try {
    const {vault} = JSON.parse(Buffer.from(bytes).toString());
    return /^[0-9a-f]{32}$/.test(vault) ? vault : undefined;
  } catch {
    return undefined;
  }
}
