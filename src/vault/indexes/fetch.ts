import {forEachConcurrent} from '../../lib/async.ts';
import type {Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {readIndex} from '../format/index-object.ts';
import {type IndexId, indexKey, packKey} from '../format/key.ts';
import {readPackTable} from '../format/pack.ts';
import type {Finding} from '../types.ts';
import type {ChunkTable} from './chunk-table.ts';
import type {ChunkTables, Pack} from './chunk-tables.ts';

/** Indexes and pack tables fetched concurrently; each is small. */
const fetchesAtOnce = 6;

type Fetched = {
  /** False when an object was removed between the listing and the read. */
  isComplete: boolean;
  /** Of objects that cannot be read. */
  faults: Finding[];
};

/** Reads indexes from the store into the table. */
export async function fetchIndexes(store: Store, ids: readonly IndexId[], table: ChunkTable): Promise<Fetched> {
  const fetched: Fetched = {isComplete: true, faults: []};
  await forEachConcurrent(ids, fetchesAtOnce, async (id) => {
    try {
      await table.add(id, await readIndex(store, id));
    } catch (error) {
      if (!isDamage(error)) throw error;
      if (error.code === 'OBJECT_MISSING') fetched.isComplete = false;
      else fetched.faults.push({what: 'damaged', key: indexKey(id), detail: error.message});
    }
  });
  return fetched;
}

/** Reads the tables of packs that no index lists. */
export async function fetchPackTables(store: Store, packs: readonly Pack[], tables: ChunkTables): Promise<Fetched> {
  const fetched: Fetched = {isComplete: true, faults: []};
  await forEachConcurrent(packs, fetchesAtOnce, async ({id, lengthBytes}) => {
    try {
      await tables.addUnlisted({id, lengthBytes, entries: await readPackTable(store, id, lengthBytes)});
    } catch (error) {
      if (!isDamage(error)) throw error;
      if (error.code === 'OBJECT_MISSING') fetched.isComplete = false;
      else fetched.faults.push({what: 'damaged', key: packKey(id), pack: id, detail: error.message});
    }
  });
  return fetched;
}
