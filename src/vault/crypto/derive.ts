import {createHash, createHmac, hkdfSync, timingSafeEqual} from 'node:crypto';

/** Length of every key and commitment. */
export const keyBytes = 32;

/**
 * The only way in which a key is made from another secret: HKDF-SHA-256.
 * @param vault the vault's id, 32 hex digits: its bytes are the salt
 * @param label what the result is for
 */
export function derived(secret: Uint8Array, vault: string, label: string, sizeBytes = keyBytes): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.from(vault, 'hex'), `bkp-1 ${label}`, sizeBytes));
}

/**
 * Compared before anything is opened: AES-GCM alone would accept some ciphertexts under two keys.
 * @returns hex digits
 */
export const commitmentOf = (secret: Uint8Array, vault: string): string =>
  derived(secret, vault, 'commitment').toString('hex');

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

export function mac(key: Uint8Array, ...parts: (Uint8Array | string)[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** Whether two hexadecimal texts are equal, in a time that does not depend on where they differ. */
export function areSame(first: string, second: string): boolean {
  const [a, b] = [Buffer.from(first, 'hex'), Buffer.from(second, 'hex')];
  return a.length === b.length && a.length > 0 && timingSafeEqual(a, b);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
