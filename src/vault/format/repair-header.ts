import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import {unlessDamaged} from './damage.ts';
import {putHeader, readHeader, traceOfVault, writtenHeader} from './header.ts';
import {headerKey, keysPrefix} from './key.ts';

/**
 * Writes a lost or damaged header again. No backup needs it: it only says that the store is a vault of this
 * format, and which one.
 * @param id the vault's id if it is known, else a new one
 * @returns false when there is nothing to repair: the header is intact, or the store contains nothing of bkp
 * @throws BkpError `STORE_REFUSED` when the header is of a newer format, or of another program | `OBJECT_DAMAGED` when
 *   nothing else says that there is a vault, or which one
 */
export async function repairHeader(store: Store, id: string): Promise<boolean> {
  const state = await readHeader(store).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_DAMAGED') return error;
    throw error;
  });
  const isDamaged = state instanceof BkpError;
  if (state !== undefined && !isDamaged) return false;
  const encryption = await traceOfVault(store);
  if (encryption === undefined) {
    if (isDamaged) throw nothingElse(store, state);
    return false;
  }
  const header = {id: encryption === 'none' ? id : await vaultOfKeys(store), encryption};
  await putHeader(store, header, {replaces: isDamaged});
  await writtenHeader(store);
  return true;
}

const nothingElse = (store: Store, damage: BkpError) =>
  new BkpError('OBJECT_DAMAGED', damage.message, {
    cause: `no other object in ${store.description} shows that bkp wrote it, so it is not written again`,
    next: `choose another store; or, if only bkp has used this one, remove ${headerKey} from it: it holds no backup`,
    context: {key: headerKey},
  });

/**
 * The vault whose keys are in the store: it is encrypted, and its id is a part of every seal.
 * @throws BkpError `OBJECT_DAMAGED` if none of them can be read
 */
async function vaultOfKeys(store: Store): Promise<string> {
  for await (const {key} of store.list(keysPrefix)) {
    const bytes = await unlessDamaged(store.get(key));
    const id = bytes && vaultIn(bytes);
    if (id !== undefined) return id;
  }
  throw new BkpError('OBJECT_DAMAGED', `the keys of the vault in ${store.description} are missing or damaged`, {
    cause: `so is ${headerKey}, and nothing else says which vault this is`,
    next: 'bkp vault key import FILE brings them back from an export; or restore keys/ from a copy of the store',
    context: {key: keysPrefix},
  });
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
