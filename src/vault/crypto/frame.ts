import type {Key} from '../../stores/index.ts';
import {damaged} from '../format/damage.ts';
import {encryptedMagic} from '../format/sealed.ts';
import {type RawKey, type SealKey, sealKeyOf} from './vault-keys.ts';

const magic = Buffer.from(encryptedMagic);
const version = 1;

/** Magic, version, kind, two zeros, key id. */
export const frameBytes = 16;
const keyIdAt = 8;

export const frameKinds = {object: 1, pack: 2} as const;
export type FrameKind = keyof typeof frameKinds;

export function frameOf(kind: FrameKind, key: SealKey): Buffer {
  const bytes = Buffer.alloc(frameBytes);
  magic.copy(bytes);
  bytes.set([version, frameKinds[kind]], 4);
  key.id.copy(bytes, keyIdAt);
  return bytes;
}

/** What a seal is bound to, beside its content: the beginning of the object, the vault, and the object's key. */
export const boundTo = (frame: Buffer, vault: string, key: Key): Buffer =>
  Buffer.concat([frame, Buffer.from(vault, 'hex'), Buffer.from(key)]);

/** The keys of one kind, of which new objects get the last. */
export class SealKeys {
  readonly all: readonly SealKey[];

  constructor(raw: readonly RawKey[], vault: string) {
    this.all = raw.map((one) => sealKeyOf(one, vault)).reverse();
  }

  get newest(): SealKey {
    return this.all[0]!;
  }

  /**
   * The key that an object names.
   * @throws BkpError `OBJECT_DAMAGED`
   */
  of(frame: Buffer, kind: FrameKind, key: Key): SealKey {
    if (frame.length < frameBytes || !frame.subarray(0, 4).equals(magic)) {
      throw damaged(key, 'it is not encrypted, but its vault is: bkp did not write it');
    }
    const id = frame.subarray(keyIdAt, frameBytes);
    const found = this.all.find((one) => one.id.equals(id));
    if (found === undefined) {
      throw damaged(key, `it is sealed with key ${id.toString('hex')}, which the vault's ring does not have`);
    }
    // Another version of the frame would have another suite in the vault's header.
    if (!frameOf(kind, found).equals(frame)) throw damaged(key, `it is not a sealed ${kind}`);
    return found;
  }
}
