import {onlyPlace} from '../../app/keys/open-keys.ts';
import {isWithoutFolder, openStoreAt, openVaultAt, type Workplace} from '../../app/places/workplace.ts';
import {describeStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {isWithoutKeys, readHeader, type Vault} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';

/** Absent: as the settings say. */
export type CreateOptions = {encrypt?: boolean};

export async function runCreate(deps: CommandDeps, {encrypt}: CreateOptions): Promise<void> {
  const place = await onlyPlace(deps);
  await requireNone(deps, place);
  const vault = await openVaultAt(deps, place, {create: true, ...(encrypt === undefined ? {} : {encrypt})});
  try {
    deps.stdout.write(created(vault, place));
  } finally {
    vault.close();
  }
}

function created({id, encryption}: Vault, {store}: Workplace): string {
  const where = `vault ${id} in ${describeStore(store)}`;
  if (encryption === undefined) {
    return `${where}\nnot encrypted: whoever can read the store can read the backups; --encrypt prevents it\n`;
  }
  return (
    `${where}\nencrypted, ring ${encryption.fingerprint}\n` +
    'without its secret the backups are lost; make a recovery kit:\n  bkp vault key add --kit\n'
  );
}

/** One whose creation ended before its keys were made is none. */
async function requireNone(deps: CommandDeps, place: Workplace): Promise<void> {
  // That a disk is not mounted is found when the vault is made.
  if (isWithoutFolder(place.store)) return;
  const store = await openStoreAt(deps, place, {create: false});
  const header = await readHeader(store);
  if (header === undefined || (header.encryption !== 'none' && (await isWithoutKeys(store)))) return;
  throw new BkpError('PRECONDITION', `there is a vault in ${describeStore(place.store)} already`, {
    cause: `vault ${header.id}${header.encryption === 'none' ? ', not encrypted' : ', encrypted'}`,
    next: 'choose an empty store: --cluster, --store',
  });
}
