import {BkpError} from '../errors/index.ts';
import type {Store} from '../stores/index.ts';
import {damaged} from './damage.ts';
import {hashHex} from './hash.ts';
import {headerKey} from './key.ts';

export const formatVersion = 1;

export type Header = {id: string};

type HeaderJson = {format: string; version: number; id: string; hash: string; compression: string; encryption: string};

/**
 * The vault's header.
 * @returns undefined when the store has none
 * @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer format, or something that is not bkp's)
 */
export async function readHeader(store: Store): Promise<Header | undefined> {
  if ((await store.stat(headerKey)) === undefined) return undefined;
  const text = Buffer.from(await store.get(headerKey)).toString();
  let parsed: HeaderJson & {checksum?: string};
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch (error) {
    throw damaged(headerKey, 'it is not JSON', error);
  }
  const {checksum, ...header} = parsed;
  // In every version: so a damaged header is not taken for a newer one.
  if (checksum !== checksumOf(header)) throw damaged(headerKey, 'its checksum is wrong');
  if (header.format !== 'bkp vault') throw refused(store, 'bkp.json is of something else', 'choose another store');
  if (header.version > formatVersion || header.encryption !== 'none') {
    const what =
      header.version > formatVersion ? `format version ${header.version}` : `encryption ${header.encryption}`;
    throw refused(store, `the vault was written by a newer bkp (${what})`, 'install the newest bkp');
  }
  return {id: header.id};
}

/**
 * Makes the vault. Of several that do so at once one wins, and all get its header.
 * @throws BkpError `STORE_REFUSED` when something else lies in the store
 */
export async function createHeader(store: Store, id: string): Promise<Header> {
  for await (const {key} of store.list('')) {
    if (key === headerKey) break;
    // Somebody who creates the vault at the same time may be further than we are.
    if ((await store.stat(headerKey)) !== undefined) break;
    throw refused(store, `it holds something that is not bkp’s: ${key}`, 'choose an empty store');
  }
  const header: HeaderJson = {
    format: 'bkp vault',
    version: formatVersion,
    id,
    hash: 'blake3-256',
    compression: 'zstd',
    encryption: 'none',
  };
  const json = JSON.stringify({...header, checksum: checksumOf(header)}, null, 2);
  await store.put(headerKey, Buffer.from(json), {ifAbsent: true});
  const written = await readHeader(store);
  if (written === undefined) throw damaged(headerKey, 'it is gone right after it was written');
  return written;
}

export function noVault(store: Store): BkpError {
  return new BkpError('VAULT_ABSENT', `the store ${store.description} holds no vault`, {
    next: 'name the store that holds your backups; in a new one CREATE BACKUP COLLECTION … makes the vault',
  });
}

const checksumOf = (header: object) => hashHex(Buffer.from(JSON.stringify(header)));

function refused(store: Store, why: string, next: string): BkpError {
  return new BkpError('STORE_REFUSED', `the store ${store.description} cannot be used: ${why}`, {next});
}
