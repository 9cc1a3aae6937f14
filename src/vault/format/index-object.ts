import {yieldToEventLoop} from '../../lib/async.ts';
import {putContent, requireWritten, type Store} from '../../stores/index.ts';
import type {PackId} from '../types.ts';
import {damaged} from './damage.ts';
import {decodeEntries, encodeEntries, type PackListing} from './entry.ts';
import {hashHex, idBytes, readId, toBytes} from './hash.ts';
import {type IndexId, indexKey} from './key.ts';
import {indexFlushEntries} from './limits.ts';
import {seal, unseal} from './sealed.ts';

const listingHeaderBytes = idBytes + 8 + 4;

/**
 * Puts one index into the store; durable when it resolves.
 * @param salt hex digits that make its content, and so its name, unique
 * @param options.readBack for an index that no listing will show to be there
 */
export async function writeIndex(
  store: Store,
  packs: readonly PackListing[],
  salt: string,
  {readBack = false} = {},
): Promise<{id: IndexId; sizeBytes: number}> {
  const parts = packs.flatMap((pack) => {
    const header = Buffer.alloc(listingHeaderBytes);
    toBytes(pack.id).copy(header);
    header.writeBigUInt64LE(BigInt(pack.lengthBytes), idBytes);
    header.writeUInt32LE(pack.entries.length, idBytes + 8);
    return [header, encodeEntries(pack.entries)];
  });
  const sealed = await seal('index', Buffer.concat(parts), salt);
  const id = hashHex(sealed) as IndexId;
  await putContent(store, indexKey(id), sealed);
  if (readBack) await requireWritten(store, indexKey(id), sealed);
  return {id, sizeBytes: sealed.length};
}

/**
 * Puts as many indexes as the packs need.
 * @param salt returns another one for each index
 * @returns the ids of the indexes
 */
export async function writeIndexes(
  store: Store,
  packs: Iterable<PackListing>,
  salt: () => string,
): Promise<readonly IndexId[]> {
  const written: IndexId[] = [];
  let batch: PackListing[] = [];
  let entries = 0;
  const write = async () => {
    if (batch.length > 0) written.push((await writeIndex(store, batch, salt())).id);
    batch = [];
    entries = 0;
  };
  for (const pack of packs) {
    batch.push(pack);
    entries += pack.entries.length;
    if (entries >= indexFlushEntries) await write();
    await yieldToEventLoop();
  }
  await write();
  return written;
}

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readIndex(store: Store, id: IndexId): Promise<PackListing[]> {
  const key = indexKey(id);
  const sealed = await store.get(key);
  if (hashHex(sealed) !== id) throw damaged(key, 'its hash is not its name');
  const bytes = Buffer.from(await unseal('index', sealed, key));
  const packs: PackListing[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + listingHeaderBytes > bytes.length) throw damaged(key, 'it ends within a pack');
    const pack = readId<PackId>(bytes, at);
    const lengthBytes = Number(bytes.readBigUInt64LE(at + idBytes));
    const count = bytes.readUInt32LE(at + idBytes + 8);
    const {entries, end} = decodeEntries(bytes, key, at + listingHeaderBytes, count);
    packs.push({id: pack, lengthBytes, entries});
    at = end;
  }
  return packs;
}
