import type {Key, Store} from '../stores/index.ts';
import {damaged} from './damage.ts';
import {isId} from './hash.ts';
import {recipeMaxDepth} from './limits.ts';
import {seal, unseal} from './sealed.ts';
import type {JsonValue, Manifest, Recipe} from './types.ts';

export const sealManifest = ({kind, streams, body}: Manifest) => seal('manifest', toJson({kind, streams, body}));

export const sealDocument = (document: JsonValue) => seal('document', toJson(document));

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readManifest(store: Store, key: Key): Promise<Manifest> {
  return parseManifest(await store.get(key), key);
}

/** @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function parseManifest(sealed: Uint8Array, key: Key): Promise<Manifest> {
  const manifest = fromJson(await unseal('manifest', sealed, key), key) as Manifest;
  const isManifest =
    typeof manifest?.kind === 'string' && Array.isArray(manifest.streams) && manifest.streams.every(isRecipe);
  if (!isManifest) throw damaged(key, 'it is not a manifest');
  return manifest;
}

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readDocument(store: Store, key: Key): Promise<JsonValue> {
  return parseDocument(await store.get(key), key);
}

/** @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function parseDocument(sealed: Uint8Array, key: Key): Promise<JsonValue> {
  return fromJson(await unseal('document', sealed, key), key);
}

const toJson = (value: unknown) => Buffer.from(JSON.stringify(value));

function fromJson(payload: Uint8Array, key: Key): JsonValue {
  try {
    return JSON.parse(Buffer.from(payload).toString()) as JsonValue;
  } catch (error) {
    throw damaged(key, 'it is not JSON', error);
  }
}

function isRecipe(value: unknown): value is Recipe {
  const {sizeBytes, depth, chunks} = (value ?? {}) as Recipe;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return false;
  if (!Number.isSafeInteger(depth) || depth < 0 || depth > recipeMaxDepth) return false;
  return Array.isArray(chunks) && chunks.every(isId);
}
