import {
  createHash,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';

// X-Wing, a key encapsulation that stays secure if either ML-KEM-768 or X25519 does
// (draft-connolly-cfrg-xwing-kem). Node has both halves; this file joins them.

/** Lengths in bytes. */
export const sizes = {seed: 32, publicKey: 1216, encapsulated: 1120} as const;

const kemPublicBytes = 1184;
const kemCiphertextBytes = 1088;

const label = Buffer.from('\\.//^\\');

// Node takes raw keys only inside the structures of RFC 8410 and RFC 9935; these are the bytes before the key.
const prefixes = {
  kemSeed: Buffer.from('3054020100300b060960864801650304040204428040', 'hex'),
  kemPublic: Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex'),
  curveSecret: Buffer.from('302e020100300506032b656e04220420', 'hex'),
  curvePublic: Buffer.from('302a300506032b656e032100', 'hex'),
};

const secretOf = (prefix: Buffer, raw: Uint8Array) =>
  createPrivateKey({key: Buffer.concat([prefix, raw]), format: 'der', type: 'pkcs8'});
const publicOf = (prefix: Buffer, raw: Uint8Array) =>
  createPublicKey({key: Buffer.concat([prefix, raw]), format: 'der', type: 'spki'});
const rawPublic = (key: KeyObject, sizeBytes: number) =>
  (key.type === 'public' ? key : createPublicKey(key)).export({format: 'der', type: 'spki'}).subarray(-sizeBytes);

function expanded(seed: Uint8Array) {
  const bytes = createHash('shake256', {outputLength: 96}).update(seed).digest();
  const kem = secretOf(prefixes.kemSeed, bytes.subarray(0, 64));
  const curve = secretOf(prefixes.curveSecret, bytes.subarray(64));
  return {kem, curve, curvePublic: rawPublic(curve, 32), kemPublic: rawPublic(kem, kemPublicBytes)};
}

/** @param seed 32 random bytes: the secret key */
export function publicKeyOf(seed: Uint8Array): Buffer {
  const {kemPublic, curvePublic} = expanded(seed);
  return Buffer.concat([kemPublic, curvePublic]);
}

/** A secret of 32 bytes for the holder of the public key's seed, and what to send to that one. */
export function encapsulateFor(publicKey: Uint8Array): {encapsulated: Buffer; shared: Buffer} {
  const curvePublic = publicKey.subarray(kemPublicBytes);
  const kem = encapsulate(publicOf(prefixes.kemPublic, publicKey.subarray(0, kemPublicBytes)));
  const own = generateKeyPairSync('x25519');
  const curveCiphertext = rawPublic(own.publicKey, 32);
  const curveShared = diffieHellman({
    privateKey: own.privateKey,
    publicKey: publicOf(prefixes.curvePublic, curvePublic),
  });
  const shared = combined(kem.sharedKey, curveShared, curveCiphertext, curvePublic);
  return {encapsulated: Buffer.concat([kem.ciphertext, curveCiphertext]), shared};
}

/**
 * @returns the secret: another one, of no use, if `encapsulated` was made for another key; undefined if it was made for
 *   none, because it has another length, or a point of the curve that gives no secret
 */
export function decapsulated(seed: Uint8Array, encapsulated: Uint8Array): Buffer | undefined {
  if (encapsulated.length !== sizes.encapsulated) return undefined;
  const {kem, curve, curvePublic} = expanded(seed);
  const curveCiphertext = encapsulated.subarray(kemCiphertextBytes);
  const kemShared = decapsulate(kem, encapsulated.subarray(0, kemCiphertextBytes));
  const publicKey = publicOf(prefixes.curvePublic, curveCiphertext);
  let curveShared: Buffer;
  try {
    curveShared = diffieHellman({privateKey: curve, publicKey});
  } catch {
    return undefined;
  }
  return combined(kemShared, curveShared, curveCiphertext, curvePublic);
}

const combined = (...parts: [Uint8Array, Uint8Array, Uint8Array, Uint8Array]) =>
  createHash('sha3-256')
    .update(Buffer.concat([...parts, label]))
    .digest();
