import type {Entry} from '../format/entry.ts';
import {packKey} from '../format/key.ts';
import {readPackTable} from '../format/pack.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {PackId} from '../types.ts';
import type {PackCheck} from './pack-check.ts';

/**
 * Compares what the pack's own table and the index say about the needed chunks.
 * @returns the table, undefined if it cannot be read
 */
export async function verifyTable(
  {store, findings}: PackCheck,
  pack: PackId,
  lengthBytes: number,
  chunks: readonly Location[],
): Promise<readonly Entry[] | undefined> {
  const key = packKey(pack);
  try {
    const table = await readPackTable(store, pack, lengthBytes);
    const entries = new Map(table.map((entry) => [entry.id, entry]));
    for (const {id, offset, storedBytes, base} of chunks) {
      const entry = entries.get(id);
      if (entry?.offset === offset && entry.storedBytes === storedBytes && entry.base === base) continue;
      const detail = `the table of pack ${pack} and the index disagree about chunk ${id}`;
      findings.add({what: 'damaged', key, pack, chunk: id, detail});
    }
    return table;
  } catch (error) {
    findings.addError(error, {key, pack, needed: chunks.map(({id}) => id)});
    return undefined;
  }
}
