import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import {parsed} from '../../lib/schema.ts';
import {type Key, putAndRead, type Store} from '../../stores/index.ts';
import {damaged} from '../format/damage.ts';
import {resealsPrefix} from '../format/key.ts';
import {readDocument, sealDocument} from '../format/manifest.ts';

// A put over a manifest may arrive after a collector has removed it, and would bring it back. So its key is noted
// before, and a collector that removes a noted manifest makes it void for ever.

const noteSchema = v.object({version: v.literal(1), manifests: v.array(v.string())});

/** @returns the key of the note */
export async function noteReseal(store: Store, manifests: readonly Key[], randomId: () => string): Promise<Key> {
  const key = resealsPrefix + randomId();
  await putAndRead(store, key, await sealDocument({version: 1, manifests}), {ifAbsent: true});
  return key;
}

/**
 * The manifests that each note names; usually there is no note.
 * @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` naming a note that cannot be read
 */
export async function readReseals(store: Store): Promise<ReadonlyMap<Key, readonly Key[]>> {
  const notes = new Map<Key, readonly Key[]>();
  for await (const {key} of store.list(resealsPrefix)) {
    try {
      const note = await readDocument(store, key);
      notes.set(key, parsed(noteSchema, note, (why) => damaged(key, why)).manifests);
    } catch (error) {
      if (!(error instanceof BkpError && error.code === 'OBJECT_MISSING')) throw error;
    }
  }
  return notes;
}
