import {padded} from '../../lib/padding.ts';
import type {Key} from '../../stores/index.ts';
import {damaged} from '../format/damage.ts';
import {boundTo, frameBytes, frameOf, type SealKeys} from './frame.ts';
import type {SealKey} from './vault-keys.ts';
import {nonceBytes} from './xaes.ts';

const lengthBytes = 8;

/** Seals an object that is always read completely: everything but packs. Equal input gives equal bytes. */
export function sealObject(keys: SealKeys, vault: string, key: Key, content: Uint8Array): Buffer {
  const sealKey = keys.newest;
  const plain = Buffer.alloc(padded(lengthBytes + content.length));
  plain.writeBigUInt64LE(BigInt(content.length));
  plain.set(content, lengthBytes);
  const frame = frameOf('object', sealKey);
  const bound = boundTo(frame, vault, key);
  const nonce = nonceOf(sealKey, bound, plain);
  return Buffer.concat([frame, nonce, ...sealKey.aead.seal(nonce, plain, bound)]);
}

/** @throws BkpError `OBJECT_DAMAGED` */
export function openObject(keys: SealKeys, vault: string, key: Key, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
  const frame = bytes.subarray(0, frameBytes);
  const sealKey = keys.of(frame, 'object', key);
  const bound = boundTo(frame, vault, key);
  const nonce = bytes.subarray(frameBytes, frameBytes + nonceBytes);
  const plain = sealKey.aead.open(nonce, bytes.subarray(frameBytes + nonceBytes), bound);
  // Only one message has this nonce under this key, so nobody can make bytes that open under two keys.
  if (plain === undefined || !nonceOf(sealKey, bound, plain).equals(nonce)) {
    throw damaged(key, 'it does not open: it was changed, or belongs elsewhere');
  }
  const end = lengthBytes + Number(plain.readBigUInt64LE());
  if (end > plain.length) throw damaged(key, 'its length is impossible');
  return plain.subarray(lengthBytes, end);
}

function nonceOf(sealKey: SealKey, bound: Buffer, plain: Buffer): Buffer {
  const boundBytes = Buffer.alloc(lengthBytes);
  boundBytes.writeBigUInt64LE(BigInt(bound.length));
  return sealKey.nonceOf(boundBytes, bound, plain).subarray(0, nonceBytes);
}
