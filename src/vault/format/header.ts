import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import {opaque, parsed, parsedJson} from '../../lib/schema.ts';
import {shellQuoted} from '../../lib/text.ts';
import type {Key, Store} from '../../stores/index.ts';
import {unlessDamaged} from './damage.ts';
import {hashHex} from './hash.ts';
import {headerKey, indexPrefix, keysPrefix, manifestPrefixes} from './key.ts';
import {encryptedMagic, sealedMagic} from './sealed.ts';

export const formatVersion = 1;

/** `none`, or the suite of an encrypted vault. */
export type Encryption = 'none' | 'bkp-1';

export type Header = {
  id: string;
  encryption: Encryption;
  /** False when the store ignores `ifAbsent` and overwrites the object. */
  conditionalWrites: boolean;
};

/** The content of version 1, without its checksum. */
const headerSchema = v.object({
  format: v.literal('bkp vault'),
  version: v.literal(formatVersion),
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'Invalid id')),
  hash: v.literal('blake3-256'),
  compression: v.literal('zstd'),
  encryption: v.picklist(['none', 'bkp-1']),
  /** Only ever `false`; absent if the store honours conditional writes, or was never tested. */
  conditionalWrites: v.exactOptional(v.literal(false)),
});
type HeaderJson = v.InferOutput<typeof headerSchema>;

export type NewHeader = Pick<Header, 'id' | 'encryption'>;

const headerPut = {ifAbsent: true, retained: true} as const;

/**
 * The vault's header.
 * @returns undefined when the store has none
 * @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer format, or content of another program)
 */
export async function readHeader(store: Store): Promise<Header | undefined> {
  // Not preceded by a `stat`, which would cost a request at every opening.
  const bytes = await store.get(headerKey).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_MISSING') return undefined;
    throw error instanceof BkpError && error.code === 'OBJECT_DAMAGED' ? unreadable(error) : error;
  });
  return bytes === undefined ? undefined : parseHeader(store, Buffer.from(bytes).toString());
}

function parseHeader(store: Store, json: string): Header {
  const parts = parsedJson(opaque, json, (why) => headerDamaged(why));
  const {checksum, ...header} = parts;
  // Every version has the checksum, so a damaged header is not mistaken for a newer one.
  if (checksum !== checksumOf(header)) throw headerDamaged('its checksum is wrong');
  const {format, version, encryption} = header;
  if (format !== 'bkp vault') throw refused(store, 'bkp.json belongs to another program', 'choose another store');
  if ((typeof version === 'number' && version > formatVersion) || (encryption !== 'none' && encryption !== 'bkp-1')) {
    const what = version !== formatVersion ? `format version ${version}` : `encryption ${encryption}`;
    throw refused(store, `the vault was written by a newer bkp (${what})`, 'install the newest bkp');
  }
  const read = parsed<HeaderJson>(headerSchema, header, (why) => headerDamaged(why));
  return {id: read.id, encryption: read.encryption, conditionalWrites: read.conditionalWrites ?? true};
}

/**
 * Puts a new header and tests whether the store honours conditional writes.
 * @param options.replaces overwrite a damaged one. Default false: put only if there is none
 * @returns whether this call wrote it
 */
export async function putHeader(store: Store, header: NewHeader, {replaces = false} = {}): Promise<boolean> {
  const bytes = encodeHeader(newHeader(header));
  const isWritten = (await store.put(headerKey, bytes, replaces ? {retained: true} : headerPut)) === 'written';
  if (isWritten) await probeConditions(store, header);
  return isWritten;
}

/**
 * The header that {@link putHeader} or another process wrote.
 * @throws BkpError `OBJECT_DAMAGED` if there is none
 */
export async function writtenHeader(store: Store): Promise<Header> {
  const header = await readHeader(store);
  if (header === undefined) throw headerDamaged('it disappeared right after it was written');
  return header;
}

/**
 * The key is taken, so a store that honours conditions refuses this put; one that ignores them now has a header
 * that says so. Its bytes differ from the first header's, so that a store that recognises a repeated request
 * whose reply was lost does not take it for the same write.
 */
async function probeConditions(store: Store, header: NewHeader): Promise<void> {
  await store.put(headerKey, encodeHeader({...newHeader(header), conditionalWrites: false}), headerPut);
}

const newHeader = ({id, encryption}: NewHeader): HeaderJson => ({
  format: 'bkp vault',
  version: formatVersion,
  id,
  hash: 'blake3-256',
  compression: 'zstd',
  encryption,
});

function encodeHeader(header: HeaderJson): Uint8Array {
  return Buffer.from(JSON.stringify({...header, checksum: checksumOf(header)}, null, 2));
}

const checksumOf = (header: object) => hashHex(Buffer.from(JSON.stringify(header)));

/** A store of another program may hold millions of objects; so many damaged ones of bkp are not to be expected. */
const maxLooks = 100;

const ofKeys = /^keys\/(spare\/)?(rings\/[0-9]{8}|slots\/[0-9a-f]{32})$/;

/**
 * What a store without a header says of a vault. One intact object is enough: whatever destroyed the header may have
 * destroyed others. Folders of these names are common, so the beginnings of the objects are read too.
 * @returns the encryption of the vault; undefined if the store holds nothing of bkp
 */
export async function traceOfVault(store: Store): Promise<Encryption | undefined> {
  for await (const {key} of store.list(keysPrefix)) if (ofKeys.test(key)) return 'bkp-1';
  for (const prefix of [...manifestPrefixes, indexPrefix]) {
    let looks = 0;
    for await (const {key, sizeBytes} of store.list(prefix)) {
      if (sizeBytes < sealedMagic.length) continue;
      const found = await encryptionOf(store, key);
      if (found !== undefined) return found;
      if (++looks === maxLooks) break;
    }
  }
  return undefined;
}

async function encryptionOf(store: Store, key: Key): Promise<Encryption | undefined> {
  const start = await unlessDamaged(store.get(key, {start: 0, end: sealedMagic.length}));
  switch (Buffer.from(start ?? []).toString('latin1')) {
    case sealedMagic:
      return 'none';
    case encryptedMagic:
      return 'bkp-1';
    default:
      return undefined;
  }
}

const repairNext = 'bkp doctor --repair writes it again: no backup needs anything that is in it';

export function headerMissing(store: Store): BkpError {
  return new BkpError('OBJECT_MISSING', `the header ${headerKey} of the vault in ${store.description} is missing`, {
    cause: 'there are other objects of a vault in the store',
    next: repairNext,
    context: {key: headerKey},
  });
}

export function headerDamaged(why: string): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${headerKey} is damaged: ${why}`, {
    next: repairNext,
    context: {key: headerKey},
  });
}

/** Its store says what is wrong; the header is not needed from there, because it is written again. */
function unreadable(error: BkpError): BkpError {
  const {path} = error.context;
  const first = typeof path === 'string' ? `mv ${shellQuoted(path)} /tmp/; then ` : '';
  return new BkpError('OBJECT_DAMAGED', error.message, {
    cause: error.cause,
    next: `${first}${repairNext}`,
    context: {key: headerKey},
  });
}

export function noVault(store: Store): BkpError {
  return new BkpError('VAULT_ABSENT', `the store ${store.description} holds no vault`, {
    next: 'name the store that holds your backups; in a new one CREATE BACKUP COLLECTION … makes the vault',
  });
}

export function refused(store: Store, why: string, next: string): BkpError {
  return new BkpError('STORE_REFUSED', `the store ${store.description} cannot be used: ${why}`, {next});
}
