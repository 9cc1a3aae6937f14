import {BkpError} from '../../errors/index.ts';
import {free} from '../../lib/memory.ts';
import type {Key, PutOptions, Store} from '../../stores/index.ts';
import {damaged, isDamage} from '../format/damage.ts';
import {hasPackId} from '../format/hash.ts';
import {damagedPrefix, packOfKey, removalsPrefix, resealsPrefix, verifiedPrefix} from '../format/key.ts';
import {type FrameKind, frameBytes, frameOf, type SealKeys} from './frame.ts';
import type {HiddenNames} from './hidden-names.ts';
import {PackOpener, sealedParts, sealPack} from './pack-object.ts';
import {openObject, sealObject} from './small-object.ts';
import type {SealKey} from './vault-keys.ts';

/** The keys of each kind of object, as they are now. */
export type CurrentKeys = {vault: string; names: HiddenNames; keysOf: (kind: FrameKind) => SealKeys};

/** Seals what is under older keys again, in place. See docs/format.md, "Re-encryption". */
export type Resealer = {
  /** Ids of all keys but those that new objects get. */
  olderKeys(): readonly string[];
  /**
   * @returns the id of the key that an object is sealed with; undefined if there is no such object
   * @throws BkpError `OBJECT_DAMAGED` if its first bytes name no key of the ring
   */
  keyOf(key: Key): Promise<string | undefined>;
  /** @returns undefined if there is no such object */
  isOld(key: Key): Promise<boolean | undefined>;
  /**
   * Puts the same content over the object, under the newest key, and reads it back. If that does not succeed, puts back
   * the bytes that were there.
   * @returns how many bytes were put; 0 if there is no such object
   * @throws BkpError `OBJECT_DAMAGED` if the object does not open: it is as it was
   */
  reseal(key: Key, options?: Pick<PutOptions, 'onRepeated'>): Promise<number>;
};

/** What others remove without a lease that excludes a writer’s. */
const mayVanish = (key: Key) =>
  [damagedPrefix, removalsPrefix, resealsPrefix, verifiedPrefix].some((prefix) => key.startsWith(prefix));

async function absent(error: unknown): Promise<undefined> {
  if (error instanceof BkpError && error.code === 'OBJECT_MISSING') return undefined;
  throw error;
}

const kindOf = (key: Key): FrameKind => (packOfKey(key) === undefined ? 'object' : 'pack');

export function resealerOf(inner: Store, {vault, names, keysOf}: CurrentKeys): Resealer {
  const get = (key: Key, end?: number) =>
    inner.get(names.hide(key), end === undefined ? undefined : {start: 0, end, mayEndEarly: true}).catch(absent);

  const isCurrent = (key: Key, sealed: Uint8Array) => {
    const kind = kindOf(key);
    return Buffer.compare(sealed.subarray(0, frameBytes), frameOf(kind, keysOf(kind).newest)) === 0;
  };

  /** The content, which is certainly the one that was written. */
  function open(key: Key, sealed: Uint8Array): Uint8Array {
    if (kindOf(key) === 'object') return openObject(keysOf('object'), vault, key, sealed);
    const {plain, isComplete} = new PackOpener(keysOf('pack'), vault).open(key, sealed.subarray(frameBytes), 0);
    if (isComplete && hasPackId(plain, packOfKey(key))) return plain;
    throw damaged(key, 'its bytes do not have the hash that is its name');
  }

  async function put(key: Key, content: Uint8Array, options: PutOptions): Promise<number> {
    if (kindOf(key) === 'object') {
      const sealed = sealObject(keysOf('object'), vault, key, content);
      await inner.put(names.hide(key), sealed, options);
      return sealed.length;
    }
    const keys = keysOf('pack');
    if (inner.putParts !== undefined) await inner.putParts(key, () => sealedParts(keys, vault, key, content), options);
    else await inner.put(key, sealPack(keys, vault, key, content), options);
    return content.length;
  }

  /** Whether the object has this content under the newest key; that of a pack is known by its name. */
  async function isWritten(key: Key, content: Uint8Array): Promise<boolean> {
    const sealed = await get(key);
    if (sealed === undefined) return mayVanish(key);
    if (!isCurrent(key, sealed)) return false;
    try {
      const opened = open(key, sealed);
      if (kindOf(key) === 'object') return Buffer.compare(opened, content) === 0;
      free(opened);
      return true;
    } catch (error) {
      if (isDamage(error)) return false;
      throw error;
    } finally {
      free(sealed);
    }
  }

  async function keyOf(key: Key): Promise<SealKey | undefined> {
    const frame = await get(key, frameBytes);
    return frame && keysOf(kindOf(key)).of(Buffer.from(frame), kindOf(key), key);
  }

  return {
    olderKeys: () =>
      (['object', 'pack'] as const).flatMap((kind) => {
        const {all, newest} = keysOf(kind);
        return all.filter((one) => one !== newest).map(({id}) => id.toString('hex'));
      }),

    keyOf: async (key) => (await keyOf(key))?.id.toString('hex'),

    async isOld(key) {
      const found = await keyOf(key);
      return found && found !== keysOf(kindOf(key)).newest;
    },

    async reseal(key, options = {}) {
      const before = await get(key);
      if (before === undefined || isCurrent(key, before)) return 0;
      const content = open(key, before);
      const bytes = await put(key, content, options);
      if (kindOf(key) === 'pack') free(content);
      if (!(await isWritten(key, content))) {
        await inner.put(names.hide(key), before, options);
        throw damaged(key, 'what was just written did not read back; it is again as it was');
      }
      if (kindOf(key) === 'pack') free(before);
      return bytes;
    },
  };
}
