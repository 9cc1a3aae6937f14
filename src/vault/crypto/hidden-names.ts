import {createCipheriv} from 'node:crypto';
import type {Key} from '../../stores/index.ts';
import {derived, mac} from './derive.ts';

// Names that users chose stand in keys. In an encrypted vault they are encrypted, always to the same text, so that a
// key can be computed from a name and a name from a key.

/** The folder whose folders have names of users. */
const named = '.backups/collections/';

/** Names are filled up to a multiple of this, so that only long ones show about how long they are. */
const stepBytes = 32;
const checkBytes = 16;

/** File systems allow 255 characters in a part of a key; a longer name takes two. */
const partLength = 200;

export class HiddenNames {
  readonly #check: Buffer;
  readonly #encrypt: Buffer;

  /** @param key 32 bytes */
  constructor(key: Uint8Array, vault: string) {
    this.#check = derived(key, vault, 'name check');
    this.#encrypt = derived(key, vault, 'name encrypt');
  }

  /** The key in the store; also of a prefix. */
  hide(key: Key): Key {
    if (!key.startsWith(named) || key === named) return key;
    const end = key.indexOf('/', named.length);
    return named + this.hideName(key.slice(named.length, end)) + key.slice(end);
  }

  /** @returns undefined if the key in the store is not one that {@link hide} returns */
  show(key: Key): Key | undefined {
    if (!key.startsWith(named)) return key;
    const [first = '', second = '', ...more] = key.slice(named.length).split('/');
    const isLong = second.startsWith('~~');
    const name = this.#showName(isLong ? first + second.slice(2) : first);
    if (name === undefined) return undefined;
    const shown = `${named}${[name, ...(isLong ? [] : [second]), ...more].join('/')}`;
    // The check of a text that was changed or invented, and every other spelling of a right one, is not the name's.
    return this.hide(shown) === key ? shown : undefined;
  }

  hideName(name: string): string {
    const plain = Buffer.alloc(Math.ceil((name.length + 1) / stepBytes) * stepBytes);
    plain.write(name, 'latin1');
    const check = mac(this.#check, plain).subarray(0, checkBytes);
    const text = `~${Buffer.concat([check, this.#crypt(check, plain)]).toString('base64url')}`;
    return text.length <= partLength ? text : `${text.slice(0, partLength)}/~~${text.slice(partLength)}`;
  }

  /** @returns some name, if the text is not one that {@link hideName} returns */
  #showName(text: string): string | undefined {
    if (!text.startsWith('~')) return undefined;
    const bytes = Buffer.from(text.slice(1), 'base64url');
    const check = bytes.subarray(0, checkBytes);
    if (bytes.length <= checkBytes) return undefined;
    const plain = this.#crypt(check, bytes.subarray(checkBytes));
    return plain.toString('latin1', 0, plain.indexOf(0));
  }

  /** The check is a pseudo-random function of the name, so no two names share a key stream. */
  #crypt(check: Uint8Array, bytes: Uint8Array): Buffer {
    return createCipheriv('aes-256-ctr', this.#encrypt, check).update(bytes);
  }
}
