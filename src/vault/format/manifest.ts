import * as v from 'valibot';
import {fromJson} from '../../lib/json.ts';
import {count, parsed, text} from '../../lib/schema.ts';
import type {Key, Store} from '../../stores/index.ts';
import type {ChunkId, JsonValue, Manifest} from '../types.ts';
import {damaged} from './damage.ts';
import {isId} from './hash.ts';
import {recipeMaxDepth} from './limits.ts';
import {seal, unseal} from './sealed.ts';

const recipeSchema = v.object({
  sizeBytes: count,
  depth: v.pipe(count, v.maxValue(recipeMaxDepth)),
  chunks: v.array(v.custom<ChunkId>((value) => isId(value), 'Invalid chunk id')),
});
const manifestSchema = v.object({
  kind: text,
  streams: v.array(recipeSchema),
  lease: v.exactOptional(text),
  body: v.custom<JsonValue>(() => true),
});

/** @param manifest without `lease`: as older versions wrote it */
export const sealManifest = ({kind, streams, lease, body}: Manifest) =>
  seal('manifest', toJson({kind, streams, lease, body}));

export const sealDocument = (document: JsonValue) => seal('document', toJson(document));

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readManifest(store: Store, key: Key): Promise<Manifest> {
  return parseManifest(await store.get(key), key);
}

/** @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function parseManifest(sealed: Uint8Array, key: Key): Promise<Manifest> {
  const manifest = jsonIn(await unseal('manifest', sealed, key), key);
  return parsed<Manifest>(manifestSchema, manifest, (why) => damaged(key, `it is not a manifest: ${why}`));
}

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readDocument(store: Store, key: Key): Promise<JsonValue> {
  return parseDocument(await store.get(key), key);
}

/** @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function parseDocument(sealed: Uint8Array, key: Key): Promise<JsonValue> {
  return jsonIn(await unseal('document', sealed, key), key);
}

const toJson = (value: unknown) => Buffer.from(JSON.stringify(value));

function jsonIn(payload: Uint8Array, key: Key): JsonValue {
  return fromJson(Buffer.from(payload).toString(), (why) => damaged(key, why)) as JsonValue;
}
