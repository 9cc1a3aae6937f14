import {BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import {type Key, putAndRead, type Store} from '../../stores/index.ts';
import {isId} from '../format/hash.ts';
import {removalsPrefix} from '../format/key.ts';
import {readDocument, sealDocument} from '../format/manifest.ts';
import type {PackId} from '../types.ts';

/** Packs named by one note; it then takes some hundred KiB. */
const packsAtMost = 4096;

/** Notes read concurrently; usually there are none. */
const readsAtOnce = 4;

/** The content of all notes. */
export type Removals = {
  /** The packs that each note names. */
  packs: ReadonlyMap<Key, readonly PackId[]>;
  /** The error of a note that cannot be read. It may name any pack, so no backup may rely on any. */
  fault?: BkpError | undefined;
};

/**
 * Notes durably which packs are about to be removed, before the first of them is. From then on no backup relies
 * on them, so the requests that remove them may arrive at any later time. docs/format.md explains why that is
 * enough.
 */
export async function noteRemoval(
  store: Store,
  packs: readonly PackId[],
  randomId: () => string,
): Promise<readonly Key[]> {
  const keys: Key[] = [];
  for (let at = 0; at < packs.length; at += packsAtMost) {
    const key = removalsPrefix + randomId();
    const note = await sealDocument({version: 1, packs: packs.slice(at, at + packsAtMost)});
    await putAndRead(store, key, note, {ifAbsent: true});
    keys.push(key);
  }
  return keys;
}

/** @returns undefined if a note was removed after it was listed: the listing is then too old */
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
  return isComplete ? {packs, fault} : undefined;
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
    cause: 'a cleanup that did not end wrote into it which packs it was about to remove',
    next: `make sure that no cleanup of this store is running or paused anywhere, then remove ${key}`,
    context: {key},
  });
}
