import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import type {Clock} from '../../lib/clock.ts';
import {opaque, parsed, parsedJson} from '../../lib/schema.ts';
import {probeKey, type Store} from '../../stores/index.ts';
import {hashHex} from './hash.ts';
import {headerKey, isManifestKey, manifestPrefixes} from './key.ts';
import {sealedMagic} from './sealed.ts';

export const formatVersion = 1;

export type Header = {
  id: string;
  /** False when the store writes over what is there although it was asked not to. */
  conditionalWrites: boolean;
};

/** What version 1 holds, behind its checksum. */
const headerSchema = v.object({
  format: v.literal('bkp vault'),
  version: v.literal(formatVersion),
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'Invalid id')),
  hash: v.literal('blake3-256'),
  compression: v.literal('zstd'),
  encryption: v.literal('none'),
  /** Only ever `false`; absent = the store honours conditional writes, or was never asked. */
  conditionalWrites: v.exactOptional(v.literal(false)),
});
type HeaderJson = v.InferOutput<typeof headerSchema>;

const headerPut = {ifAbsent: true, retained: true} as const;

/** Where creators can write over each other, each waits this long for the others' writes before it reads what stays. */
const settleMs = 2000;

/** More creators than this one after the other within `settleMs` are not waited for. */
const settleTries = 5;

/**
 * The vault's header.
 * @returns undefined when the store has none
 * @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer format, or something that is not bkp's)
 */
export async function readHeader(store: Store): Promise<Header | undefined> {
  // One request: a look before it would cost another at every opening.
  const bytes = await store.get(headerKey).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_MISSING') return undefined;
    throw error;
  });
  return bytes === undefined ? undefined : parseHeader(store, Buffer.from(bytes).toString());
}

function parseHeader(store: Store, json: string): Header {
  const parts = parsedJson(opaque, json, (why) => headerDamaged(why));
  const {checksum, ...header} = parts;
  // In every version: so a damaged header is not taken for a newer one.
  if (checksum !== checksumOf(header)) throw headerDamaged('its checksum is wrong');
  const {format, version, encryption} = header;
  if (format !== 'bkp vault') throw refused(store, 'bkp.json is of something else', 'choose another store');
  if ((typeof version === 'number' && version > formatVersion) || encryption !== 'none') {
    const what = version !== formatVersion ? `format version ${version}` : `encryption ${encryption}`;
    throw refused(store, `the vault was written by a newer bkp (${what})`, 'install the newest bkp');
  }
  const {id, conditionalWrites} = parsed<HeaderJson>(headerSchema, header, (why) => headerDamaged(why));
  return {id, conditionalWrites: conditionalWrites ?? true};
}

/**
 * Makes the vault, and finds out whether the store honours conditional writes. Of several that do so at once one wins, and
 * all get its header; only where conditions are ignored, one that pauses between its two writes for longer than `settleMs`
 * can take the vault from another, which then finds another id at its next opening (the worker that goes on with a
 * statement's work refuses a vault of another id).
 * @throws BkpError `STORE_REFUSED` when something else lies in the store
 */
export async function createHeader(store: Store, id: string, clock: Clock): Promise<Header> {
  for await (const {key} of store.list('')) {
    if (key === headerKey) break;
    // `bkp store check` with a key that may not remove.
    if (key === probeKey) continue;
    // Somebody who creates the vault at the same time may be further than we are.
    if ((await store.stat(headerKey)) !== undefined) break;
    if (await holdsBackups(store)) throw headerMissing(store);
    throw refused(store, `it holds something that is not bkp’s: ${key}`, 'choose an empty store');
  }
  const isMade = (await store.put(headerKey, encodeHeader(newHeader(id)), headerPut)) === 'written';
  if (isMade) await probeConditions(store, id);
  return settledHeader(store, clock);
}

const newHeader = (id: string): HeaderJson => ({
  format: 'bkp vault',
  version: formatVersion,
  id,
  hash: 'blake3-256',
  compression: 'zstd',
  encryption: 'none',
});

/**
 * The key is taken, so an honest store refuses. Where it writes, what is there then says that it does. Other bytes than
 * before, so that a store that recognises its own lost reply cannot take this for the same write again.
 */
async function probeConditions(store: Store, id: string): Promise<void> {
  await store.put(headerKey, encodeHeader({...newHeader(id), conditionalWrites: false}), headerPut);
}

/**
 * Writes the header of a vault again that has lost it. Nothing in it is needed to read a backup: it only says that the
 * store is a vault of this format, and which one.
 * @param id the vault's as far as it is known, else a new one
 * @returns false when there is nothing to mend: the header is whole, or the store holds no backups
 * @throws BkpError `STORE_REFUSED` when the header is of a newer format, or of something else
 */
export async function repairHeader(store: Store, id: string): Promise<boolean> {
  const state = await readHeader(store).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_DAMAGED') return 'damaged' as const;
    throw error;
  });
  if ((state !== undefined && state !== 'damaged') || !(await holdsBackups(store))) return false;
  await store.put(headerKey, encodeHeader(newHeader(id)), state === 'damaged' ? {retained: true} : headerPut);
  await probeConditions(store, id);
  return true;
}

/** Whether a backup is in a store without a header. Folders of these names are common, so one manifest is looked into. */
export async function holdsBackups(store: Store): Promise<boolean> {
  for (const prefix of manifestPrefixes) {
    for await (const {key, sizeBytes} of store.list(prefix)) {
      if (!isManifestKey(key) || sizeBytes < sealedMagic.length) continue;
      const start = await store.get(key, {start: 0, end: sealedMagic.length});
      if (Buffer.from(start).toString('latin1') === sealedMagic) return true;
      break;
    }
  }
  return false;
}

const repairNext = 'bkp doctor --repair writes it again: no backup needs anything that is in it';

export function headerMissing(store: Store): BkpError {
  return new BkpError('OBJECT_MISSING', `the header ${headerKey} of the vault in ${store.description} is missing`, {
    cause: 'there are backups in the store',
    next: repairNext,
    context: {key: headerKey},
  });
}

function headerDamaged(why: string): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${headerKey} is damaged: ${why}`, {
    next: repairNext,
    context: {key: headerKey},
  });
}

/** The header that stays: where creators write over each other, the one that two readings in a row find. */
async function settledHeader(store: Store, clock: Clock): Promise<Header> {
  let header = await readHeader(store);
  for (let tries = 1; header?.conditionalWrites === false && tries <= settleTries; tries++) {
    await clock.sleep(settleMs);
    const again = await readHeader(store);
    if (again?.id === header.id) break;
    header = again;
  }
  if (header === undefined) throw headerDamaged('it is gone right after it was written');
  return header;
}

function encodeHeader(header: HeaderJson): Uint8Array {
  return Buffer.from(JSON.stringify({...header, checksum: checksumOf(header)}, null, 2));
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
