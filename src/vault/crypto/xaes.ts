import {createCipheriv, createDecipheriv, createSecretKey, type KeyObject} from 'node:crypto';

/** Length of an authentication tag. Node accepts shorter ones unless it is told the length. */
export const tagBytes = 16;
/** Length of a nonce of XAES-256-GCM. */
export const nonceBytes = 24;

const gcm = {authTagLength: tagBytes} as const;

/**
 * XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM under a key that is derived from the first half of a nonce of 24
 * bytes, with the second half as its nonce.
 */
export class Xaes {
  /** Encrypts single blocks: AES as the pseudo-random function of a CMAC. */
  readonly #key: KeyObject;
  readonly #mask: Buffer;
  /** The subkey for the first half of the last nonce: the segments of a pack share it. */
  #last: {half: Buffer; key: KeyObject} | undefined;

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
    this.#mask = doubled(this.#block(Buffer.alloc(16)));
  }

  /** @returns ciphertext and tag, in two parts */
  seal(nonce: Uint8Array, plain: Uint8Array, aad: Uint8Array): [ciphertext: Buffer, tag: Buffer] {
    const cipher = createCipheriv('aes-256-gcm', this.#subkey(nonce), nonce.subarray(12), gcm);
    cipher.setAAD(aad);
    const ciphertext = cipher.update(plain);
    cipher.final();
    return [ciphertext, cipher.getAuthTag()];
  }

  /** @returns undefined if the bytes are not what was sealed with this key, nonce and `aad` */
  open(nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Buffer | undefined {
    const end = sealed.length - tagBytes;
    if (end < 0) return undefined;
    const cipher = createDecipheriv('aes-256-gcm', this.#subkey(nonce), nonce.subarray(12), gcm);
    cipher.setAAD(aad);
    cipher.setAuthTag(sealed.subarray(end));
    // Not handed out before `final` has compared the tag.
    const plain = cipher.update(sealed.subarray(0, end));
    try {
      cipher.final();
      return plain;
    } catch {
      return undefined;
    }
  }

  #subkey(nonce: Uint8Array): KeyObject {
    const half = nonce.subarray(0, 12);
    if (this.#last === undefined || Buffer.compare(this.#last.half, half) !== 0) {
      const parts = [1, 2].map((counter) => {
        const block = Buffer.concat([Buffer.from([0, counter, 0x58, 0]), half]);
        for (let at = 0; at < 16; at++) block[at]! ^= this.#mask[at]!;
        return this.#block(block);
      });
      this.#last = {half: Buffer.from(half), key: createSecretKey(Buffer.concat(parts))};
    }
    return this.#last.key;
  }

  #block(block: Uint8Array): Buffer {
    return createCipheriv('aes-256-ecb', this.#key, null).setAutoPadding(false).update(block);
  }
}

/** The subkey K1 of a CMAC: the block times x in the field of 2^128 elements. NIST SP 800-38B, 6.1. */
function doubled(block: Buffer): Buffer {
  const result = Buffer.alloc(16);
  for (let at = 0; at < 16; at++) result[at] = (block[at]! << 1) | ((block[at + 1] ?? 0) >> 7);
  if (block[0]! >> 7 === 1) result[15]! ^= 0x87;
  return result;
}
