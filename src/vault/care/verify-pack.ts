import {packKey} from '../format/key.ts';
import type {Location} from '../indexes/chunk-table.ts';
import {rangesOf, type VerifiedPack} from '../ledger/ledger.ts';
import type {PackId} from '../types.ts';
import {addNotedDamage, type PackCheck} from './pack-check.ts';
import {verifyAllBytes, verifyNeededBytes} from './verify-bytes.ts';
import {verifyTable} from './verify-table.ts';

/** If at least this part of a pack's chunk bytes is needed, all of it is read, and its own hash compared too. */
const readAllFrom = 0.5;

/**
 * Checks one pack, as far as it is needed.
 * @param chunks the needed ones, in the order of the pack
 * @returns what is intact unless there is a finding about the pack; undefined if no data was read
 */
export async function verifyPack(
  check: PackCheck,
  pack: PackId,
  chunks: readonly Location[],
): Promise<VerifiedPack | undefined> {
  const {store, index, findings, level} = check;
  const key = packKey(pack);
  const facts = await store.stat(key);
  if (facts === undefined) return verifyMoved(check, pack, chunks);
  const lengthBytes = index.packLength(pack);
  if (facts.sizeBytes !== lengthBytes) {
    const detail = `pack ${pack} has ${facts.sizeBytes} bytes instead of ${lengthBytes}`;
    for (const {id} of chunks) findings.add({what: 'damaged', key, pack, chunk: id, detail});
    return undefined;
  }
  const table = await verifyTable(check, pack, lengthBytes, chunks);
  if (level === 'structure') {
    if (index.isDistrusted(pack)) addNotedDamage(check, pack, chunks);
    return undefined;
  }
  const neededBytes = chunks.reduce((sum, {storedBytes}) => sum + storedBytes, 0);
  const isMostlyNeeded = neededBytes >= index.chunkBytes(pack) * readAllFrom;
  // A pack that was found damaged is read completely: someone may have restored it.
  const isAllRead = isMostlyNeeded || index.isDistrusted(pack);
  if (table !== undefined && isAllRead) {
    await verifyAllBytes(check, {pack, lengthBytes, table}, chunks);
    return {pack};
  }
  await verifyNeededBytes(check, chunks);
  return {pack, ranges: rangesOf(chunks)};
}

/** The pack is missing: a collector has moved its chunks since the store was listed, or they are lost. */
async function verifyMoved(check: PackCheck, pack: PackId, chunks: readonly Location[]): Promise<undefined> {
  const {index, recovery, findings, level} = check;
  await recovery.run();
  for (const {id} of chunks) {
    const location = index.locate(id);
    if (location === undefined || location.pack === pack) {
      findings.add({
        what: 'missing',
        key: packKey(pack),
        pack,
        chunk: id,
        detail: `pack ${pack}, which has chunk ${id}, is not in the store`,
      });
    } else if (level === 'data') {
      await verifyNeededBytes(check, [location]);
    }
  }
}
