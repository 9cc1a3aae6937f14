import {argon2, createHash, randomBytes} from 'node:crypto';
import {promisify} from 'node:util';
import {BkpError} from '../../errors/index.ts';

/**
 * What opens a slot: a password that a person chose, or a key that bkp generated, which needs no slow derivation. Both
 * may be in any place that takes a secret: a key says by its form what it is. A keeper opens a slot whose key it keeps.
 */
export type Secret = Typed | KeyKeeper;

type Typed = {kind: 'password'; text: string} | Key;
type Key = {kind: 'key'; bytes: Uint8Array};

/** What a keeper made of a slot's key, and what it needs to give it back, as members of the slot. */
export type Wrapped = Record<string, string>;

/** The slot that a wrapped key belongs to. Both are hex digits. */
export type SlotName = {vault: string; id: string};

/**
 * A program or service that encrypts the key of a slot. The slot holds what came out, so the key is stored nowhere
 * else, and whoever has it without the keeper can open the slot with it as with any key.
 */
export type KeyKeeper = {
  kind: 'age' | 'kms';
  /**
   * @param code a key as text, `BKP-KEY1-…`
   * @throws BkpError if the keeper does not answer or refuses
   */
  wrap(code: string, slot: SlotName): Promise<Wrapped>;
  /**
   * @returns undefined if this slot is another keeper's
   * @throws BkpError if the keeper does not answer or refuses: other slots are then tried
   */
  unwrap(wrapped: Wrapped, slot: SlotName): Promise<string | undefined>;
};

/** How a password becomes a key. RFC 9106. */
export type Kdf = {name: 'argon2id'; memoryKiB: number; passes: number; parallelism: number; salt: string};

/** Fixed, not measured on the machine that makes the slot: a slow machine must not make a weak slot. */
const usualKdf = {name: 'argon2id', memoryKiB: 128 * 1024, passes: 3, parallelism: 4} as const;

/** More than this in a slot is not bkp's: it would only exhaust the memory of whoever opens the vault. */
const mostKdf = {memoryKiB: 1024 * 1024, passes: 16, parallelism: 16} as const;
/** Less than this in a slot makes guessing cheap. */
const leastKdf = {memoryKiB: 19 * 1024, passes: 1, parallelism: 1} as const;

export const isUsable = ({memoryKiB, passes, parallelism}: Omit<Kdf, 'salt' | 'name'>): boolean =>
  [memoryKiB, passes, parallelism].every(Number.isInteger) &&
  memoryKiB >= leastKdf.memoryKiB &&
  memoryKiB <= mostKdf.memoryKiB &&
  passes >= leastKdf.passes &&
  passes <= mostKdf.passes &&
  parallelism >= leastKdf.parallelism &&
  parallelism <= mostKdf.parallelism;

export const newKdf = (): Kdf => ({...usualKdf, salt: randomBytes(16).toString('hex')});

const keyMark = 'BKP-KEY1-';
const keySizeBytes = 20;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const groupLength = 4;
/** 32 characters are the key, 4 are its checksum. */
const codeLength = 36;

/** Reads a secret as it is in a file, in a variable, or on paper. */
export function parseSecret(text: string): Typed {
  const bytes = isKeyCode(text) ? readKeyCode(text.trim()) : undefined;
  return bytes === undefined ? {kind: 'password', text: text.normalize('NFC')} : {kind: 'key', bytes};
}

/** Whether the text begins like the code of a key. */
export const isKeyCode = (text: string): boolean => text.trim().toUpperCase().startsWith(keyMark);

/** A key, and the text that a person keeps: `BKP-KEY1-` and nine groups of four letters and digits. */
export function newKey(): {secret: Key; code: string} {
  const bytes = randomBytes(keySizeBytes);
  return {secret: {kind: 'key', bytes}, code: keyCode(bytes)};
}

export function keyCode(bytes: Uint8Array): string {
  const text = base32(bytes) + checksum(bytes);
  return keyMark + (text.match(/.{4}/g) ?? []).join('-');
}

/** @throws BkpError `USAGE` naming the fault: it begins like a key */
function readKeyCode(code: string): Uint8Array {
  // What people write for letters that look alike; the alphabet has neither of the digits.
  const text = code.slice(keyMark.length).toUpperCase().replace(/[-\s]/g, '').replaceAll('0', 'O').replaceAll('1', 'I');
  if (text.length !== codeLength) {
    throw wrongKey(`it has ${text.length} characters after ${keyMark} instead of ${codeLength}`);
  }
  const unknown = [...text].find((character) => !alphabet.includes(character));
  if (unknown !== undefined) throw wrongKey(`it contains ${JSON.stringify(unknown)}`);
  const bytes = fromBase32(text.slice(0, -groupLength));
  if (checksum(bytes) !== text.slice(-groupLength)) throw wrongKey('its last group does not belong to the others');
  return bytes;
}

const wrongKey = (why: string) =>
  new BkpError('USAGE', 'the key is mistyped', {
    cause: why,
    next: 'compare it group by group with the recovery kit; it has nine groups of four characters',
  });

/** Any wrong character, and any two that are swapped, give another one but once in a million times. */
const checksum = (bytes: Uint8Array) =>
  base32(createHash('sha256').update('bkp-1 key').update(bytes).digest()).slice(0, groupLength);

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(value >> (bits - 5)) & 31];
  }
  return text;
}

function fromBase32(text: string): Uint8Array {
  const bytes = Buffer.alloc(Math.floor((text.length * 5) / 8));
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const character of text) {
    value = ((value << 5) | alphabet.indexOf(character)) & 0xffff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = value >> bits;
    }
  }
  return bytes;
}

/** The bytes that a slot's key is derived from. */
export async function strengthened(secret: Typed, kdf: Kdf | undefined): Promise<Uint8Array> {
  if (secret.kind === 'key' || kdf === undefined) {
    return secret.kind === 'key' ? secret.bytes : Buffer.from(secret.text);
  }
  const {memoryKiB: memory, passes, parallelism, salt} = kdf;
  try {
    return await promisify(argon2)('argon2id', {
      message: Buffer.from(secret.text),
      nonce: Buffer.from(salt, 'hex'),
      tagLength: 32,
      memory,
      passes,
      parallelism,
    });
  } catch (cause) {
    throw new BkpError('SYSTEM', `the key of the password could not be derived`, {
      cause,
      next: `this takes ${Math.ceil(memory / 1024)} MiB of memory for a moment: close other programs, or use a key`,
    });
  }
}
