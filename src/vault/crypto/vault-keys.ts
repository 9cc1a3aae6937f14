import * as v from 'valibot';
import {derived, mac} from './derive.ts';
import {Xaes} from './xaes.ts';

const hex = (sizeBytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${2 * sizeBytes}}$`)));

/** One key as a ring holds it: random, never derived from another one. */
const rawKeySchema = v.object({
  /** 8 bytes in hex digits, which stand in front of each object that the key seals. */
  id: hex(8),
  key: hex(32),
  /** ISO time. */
  since: v.string(),
  /** ISO time: nothing in the store is sealed with it any more. */
  retired: v.exactOptional(v.string()),
});
export type RawKey = v.InferOutput<typeof rawKeySchema>;

/**
 * The keys of an encrypted vault. Plain data: it goes to another thread or process as it is, and nowhere else.
 * `data` seals packs, `meta` all other objects; new objects get the last one of each.
 */
export const vaultKeysSchema = v.object({
  vault: hex(16),
  /** Of the ring that they are from, and that ring's commitment. */
  generation: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  commitment: hex(32),
  names: hex(32),
  data: v.pipe(v.array(rawKeySchema), v.minLength(1)),
  meta: v.pipe(v.array(rawKeySchema), v.minLength(1)),
  /** Ids of the ring's slots. */
  slots: v.exactOptional(v.array(hex(16))),
});
export type VaultKeys = v.InferOutput<typeof vaultKeysSchema>;

/** A key that is ready for use. */
export type SealKey = {
  id: Buffer;
  aead: Xaes;
  /** The nonce of a message under this key. @param parts the message, in a form that no other one has */
  nonceOf(...parts: (Uint8Array | string)[]): Buffer;
};

export function sealKeyOf({id, key}: Pick<RawKey, 'id' | 'key'>, vault: string): SealKey {
  const secret = Buffer.from(key, 'hex');
  const nonceKey = derived(secret, vault, 'nonce');
  return {
    id: Buffer.from(id, 'hex'),
    aead: new Xaes(derived(secret, vault, 'encrypt')),
    nonceOf: (...parts) => mac(nonceKey, ...parts),
  };
}

/** The id says nothing about the key. */
export const idOfKey = (key: Uint8Array, vault: string): string => derived(key, vault, 'key id', 8).toString('hex');
