import {BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Key, Store} from '../../stores/index.ts';
import {isId} from '../format/hash.ts';
import {removalsPrefix} from '../format/key.ts';
import {readDocument, sealDocument} from '../format/manifest.ts';
import type {PackId} from '../types.ts';

/** Packs that one note names: some hundred KiB. */
const packsAtMost = 4096;

/** Notes read at once; mostly there is none. */
const readsAtOnce = 4;

/** What the notes say. */
export type Removals = {
  /** The packs that each names. */
  packs: ReadonlyMap<Key, readonly PackId[]>;
  /** Of a note that cannot be read: nobody knows which packs it names, so none may be counted on. */
  fault?: BkpError;
};

/**
 * Says which packs are about to be removed, durably, before the first of them is: from here on no backup counts on them, so a
 * removal may arrive whenever it likes. Why that is enough stands in docs/format.md.
 */
export async function noteRemoval(
  store: Store,
  packs: readonly PackId[],
  randomId: () => string,
): Promise<readonly Key[]> {
  const keys: Key[] = [];
  for (let at = 0; at < packs.length; at += packsAtMost) {
    const key = removalsPrefix + randomId();
    await store.put(key, await sealDocument({version: 1, packs: packs.slice(at, at + packsAtMost)}), {ifAbsent: true});
    keys.push(key);
  }
  return keys;
}

/** @returns undefined when a note went away since it was listed: then what was listed before it is too old */
export async function readRemovals(store: Store, keys: readonly Key[]): Promise<Removals | undefined> {
  const packs = new Map<Key, readonly PackId[]>();
  let fault: BkpError | undefined;
  let isComplete = true;
  await forEachConcurrent(keys, readsAtOnce, async (key) => {
    try {
      packs.set(key, await readNote(store, key));
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      if (error.code === 'OBJECT_MISSING') isComplete = false;
      else if (error.code === 'OBJECT_DAMAGED') fault = unreadable(key, error);
      else if (error.code === 'STORE_REFUSED') fault = error;
      else throw error;
    }
  });
  return isComplete ? {packs, ...(fault === undefined ? {} : {fault})} : undefined;
}

async function readNote(store: Store, key: Key): Promise<readonly PackId[]> {
  const note = (await readDocument(store, key)) as {version?: number; packs?: readonly PackId[]} | null;
  if (typeof note?.version === 'number' && note.version > 1) {
    throw new BkpError('STORE_REFUSED', `${key} was written by a newer bkp`, {next: 'install the newest bkp'});
  }
  if (Array.isArray(note?.packs) && note.packs.every(isId)) return note.packs as PackId[];
  throw new BkpError('OBJECT_DAMAGED', `${key} is damaged: it is not a list of packs`, {context: {key}});
}

function unreadable(key: Key, cause: BkpError): BkpError {
  return new BkpError('OBJECT_DAMAGED', cause.message, {
    cause: 'a cleanup wrote there which packs it was about to remove, and did not end',
    next: `make sure that no cleanup of this store runs anywhere, also none that is paused, and remove ${key}`,
    context: {key},
  });
}
