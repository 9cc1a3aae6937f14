import {randomBytes} from 'node:crypto';
import {fromJson} from '../../lib/json.ts';
import type {Key} from '../../stores/index.ts';
import {derived, sha256} from '../crypto/derive.ts';
import {nonceBytes, Xaes} from '../crypto/xaes.ts';
import {damaged} from '../format/damage.ts';

// Slots and rings are JSON, with parts that are sealed under keys that are used for one message or few: their nonces
// are random.

/** @returns base64 */
export function sealPart(secret: Uint8Array, what: string, vault: string, plain: Uint8Array, bound: string): string {
  const nonce = randomBytes(nonceBytes);
  const aead = new Xaes(derived(secret, vault, what));
  return Buffer.concat([nonce, ...aead.seal(nonce, plain, Buffer.from(`${what}\n${bound}`))]).toString('base64');
}

/** @returns undefined if it does not open */
export function openPart(
  secret: Uint8Array,
  what: string,
  vault: string,
  sealed: string,
  bound: string,
): Buffer | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  const aead = new Xaes(derived(secret, vault, what));
  return aead.open(bytes.subarray(0, nonceBytes), bytes.subarray(nonceBytes), Buffer.from(`${what}\n${bound}`));
}

/** The object with a checksum at its end, which tells damage from a wrong secret. It proves nothing else. */
export function withChecksum(value: object): Buffer {
  const checksum = sha256(JSON.stringify(value));
  return Buffer.from(JSON.stringify({...value, checksum}, null, 2));
}

/** @throws BkpError `OBJECT_DAMAGED` */
export function checkedJson(bytes: Uint8Array, key: Key): Record<string, unknown> {
  const parsed = fromJson(Buffer.from(bytes).toString(), (why) => damaged(key, why));
  if (typeof parsed !== 'object' || parsed === null) throw damaged(key, 'it is not a JSON object');
  const {checksum, ...value} = parsed as Record<string, unknown>;
  if (checksum !== sha256(JSON.stringify(value))) throw damaged(key, 'its checksum is wrong');
  return value;
}
