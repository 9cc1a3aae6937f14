import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {indexKey, packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {PacksInStore} from '../indexes/listing.ts';
import type {Lease} from '../lease/lease.ts';
import {neededPacks} from '../read/needed-packs.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {Manifest, PackId} from '../types.ts';

/**
 * Checks that all that the manifest needs is in packs that are in the store with their length. The listing that shows
 * it also confirms the lease, which saves a request. Packs whose index the store did not keep are unlisted after it.
 * @returns the keys of these packs and of their indexes, and all packs in the store
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`
 */
export async function checkComplete(
  {index, reader, lease}: {index: ChunkIndex; reader: StreamReader; lease: Lease},
  manifest: Manifest,
): Promise<{keys: Key[]; packs: PacksInStore}> {
  const needed = [...(await neededPacks({index, reader}, manifest.streams))];
  const {listing} = await lease.confirmBy(() => index.observe());
  for (const pack of needed) {
    const lengthBytes = listing.packs.get(pack)?.lengthBytes;
    if (lengthBytes !== index.packLength(pack) || !index.mayRelyOn(pack)) throw incomplete(index, pack, lengthBytes);
  }
  await index.forgetLost(needed, listing.indexes);
  const indexes = new Set(needed.flatMap((pack) => index.indexesOfPack(pack)));
  const keys = [...needed.map(packKey), ...[...indexes].filter((id) => listing.indexes.has(id)).map(indexKey)];
  return {keys, packs: listing.packs};
}

/** @param lengthBytes of the pack in the store; undefined if it is not there */
function incomplete(index: ChunkIndex, pack: PackId, lengthBytes: number | undefined): BkpError {
  return new BkpError(
    lengthBytes === undefined ? 'OBJECT_MISSING' : 'OBJECT_DAMAGED',
    `the backup was not committed: its pack ${packKey(pack)} ${faultOf(index, pack, lengthBytes)}`,
    {next: 'take a full backup: it writes again what is missing', context: {pack, key: packKey(pack)}},
  );
}

function faultOf(index: ChunkIndex, pack: PackId, lengthBytes: number | undefined): string {
  if (lengthBytes === undefined) return 'is missing from the store';
  if (lengthBytes !== index.packLength(pack)) return `has ${lengthBytes} bytes instead of ${index.packLength(pack)}`;
  return index.isToBeRemoved(pack) ? 'is about to be removed by a cleanup that did not end' : 'was found damaged';
}
