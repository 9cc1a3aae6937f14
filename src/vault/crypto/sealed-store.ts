import {assert} from '../../errors/index.ts';
import {free, giveUpRest} from '../../lib/memory.ts';
import {
  type ByteRange,
  isKey,
  type Key,
  type ListOptions,
  type ObjectFacts,
  objectTooShort,
  type PutOptions,
  type Store,
  wrapStore,
} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {hasPackId} from '../format/hash.ts';
import {
  damagedPrefix,
  headerKey,
  keysPrefix,
  manifestPrefixes,
  packOfKey,
  packsPrefix,
  verifiedPrefix,
} from '../format/key.ts';
import {frameBytes, SealKeys} from './frame.ts';
import {HiddenNames} from './hidden-names.ts';
import {PackOpener, plainPackBytes, sealedParts, sealedRange, sealPack} from './pack-object.ts';
import {type Resealer, resealerOf} from './resealer.ts';
import {openObject, sealObject} from './small-object.ts';
import type {VaultKeys} from './vault-keys.ts';

/** Seals and opens the copies of objects that a cache keeps: they are as they are in the store. */
export type ObjectSeal = {
  seal(key: Key, content: Uint8Array): Uint8Array;
  /** @throws BkpError `OBJECT_DAMAGED` */
  open(key: Key, sealed: Uint8Array): Uint8Array;
};

/** A store of which only the holder of the keys can see or change the content. */
export type SealedStore = Store & {
  readonly sealing: ObjectSeal;
  readonly resealer: Resealer;
  /** Of the ring in use. */
  generation(): number;
  /** Uses the newest ring from now on. Throws as `refresh`. */
  renew(): Promise<boolean>;
};

/**
 * The store of an encrypted vault, as the rest of the vault sees it: with the keys and the bytes of a vault without
 * encryption. Everything below it is sealed. There is no other way from an encrypted vault to its store, so nothing can
 * be written in plain by mistake, and nothing is believed that does not open.
 *
 * Two objects are not behind it: the header, and those below `keys/`, which hold the keys themselves.
 *
 * @param refresh reads the newest keys; called when something does not open. Absent: these are all
 * @param catchUp uses the newest ring if there is a newer one; called before what is written without a lease. With a
 *   lease, its holder does it
 */
export function sealedStore(
  inner: Store,
  keys: VaultKeys,
  refresh?: () => Promise<VaultKeys>,
  catchUp?: () => Promise<void>,
): SealedStore {
  const {vault} = keys;
  const names = new HiddenNames(Buffer.from(keys.names, 'hex'), vault);
  let {generation, slots} = keys;
  let meta: SealKeys;
  let data: SealKeys;
  let packs: PackOpener;
  use(keys);

  function use(ring: VaultKeys): void {
    meta = new SealKeys(ring.meta, vault);
    data = new SealKeys(ring.data, vault);
    packs = new PackOpener(data, vault);
  }

  /** Another process may have rotated the keys since these were read. @returns whether there are newer ones */
  async function renewed(): Promise<boolean> {
    const ring = await refresh?.();
    if (ring === undefined || ring.generation <= generation) return false;
    ({generation, slots} = ring);
    use(ring);
    return true;
  }

  async function opened(key: Key, sealed: Uint8Array): Promise<Uint8Array> {
    try {
      return sealing.open(key, sealed);
    } catch (error) {
      if (!isDamage(error) || !(await renewed())) throw error;
      return sealing.open(key, sealed);
    }
  }

  const sealing: ObjectSeal = {
    seal: (key, content) => sealObject(meta, vault, key, content),
    open: (key, sealed) => openObject(meta, vault, key, sealed),
  };

  const facts = ({key: stored, sizeBytes, ...rest}: ObjectFacts): ObjectFacts | undefined => {
    const key = isOutside(stored) ? undefined : names.show(stored);
    if (key === undefined) return undefined;
    return {key, ...rest, sizeBytes: key.startsWith(packsPrefix) ? plainPackBytes(sizeBytes) : sizeBytes};
  };

  const store = wrapStore(inner, {
    properties: {...inner.properties, hidesSizes: true},

    async put(key: Key, body: Uint8Array, options?: PutOptions) {
      requireInside(key);
      if (needsNoLease(key)) await catchUp?.();
      if (!key.startsWith(packsPrefix)) return inner.put(names.hide(key), sealing.seal(key, body), options);
      // Its nonce is computed from its name, so the name must be that of this content.
      assert(hasPackId(body, packOfKey(key)), 'a pack is named by its hash');
      if (inner.putParts !== undefined) {
        return inner.putParts(key, () => sealedParts(data, vault, key, body), options);
      }
      const sealed = sealPack(data, vault, key, body);
      const outcome = await inner.put(key, sealed, options);
      // Not after a failure: a request that was given up may still be sent.
      free(sealed);
      return outcome;
    },

    async get(key: Key, range?: ByteRange) {
      requireInside(key);
      if (!key.startsWith(packsPrefix)) {
        const content = await opened(key, await inner.get(names.hide(key)));
        return range === undefined ? content : content.subarray(range.start, range.end);
      }
      return getPack(key, range);
    },

    async *list(prefix: string, {after}: ListOptions = {}) {
      // Within the folder of one name, hidden keys have the order of the others.
      const isOrdered = names.hide(prefix) !== prefix || (prefix !== '' && !prefix.startsWith(manifestPrefixes[0]));
      const options = isOrdered && after?.startsWith(prefix) ? {after: names.hide(after)} : {};
      for await (const found of sorted(inner.list(names.hide(prefix), options))) {
        const shown = facts(found);
        if (shown !== undefined && (after === undefined || shown.key > after)) yield shown;
      }
    },

    delete: async (removed) => {
      for (const key of removed) requireInside(key);
      const staying = await inner.delete(removed.map((key) => names.hide(key)));
      return staying.map((object) => ({...object, key: names.show(object.key) ?? object.key}));
    },

    async stat(key) {
      const found = await inner.stat(names.hide(key));
      return found && facts(found);
    },

    ...(inner.retain === undefined ? {} : {retain}),
  });

  async function getPack(key: Key, range: ByteRange | undefined): Promise<Uint8Array> {
    const {start, end} = range ?? {start: 0};
    if (end !== undefined && start >= end) return new Uint8Array(0);
    let opened = await openedPack(key, {start, end});
    if (!opened.isComplete && (await renewed())) opened = await openedPack(key, {start, end});
    const {plain} = opened;
    if (end === undefined || plain.length === end - start) return plain;
    throw objectTooShort(key, start + plain.length, {start, end});
  }

  async function openedPack(key: Key, {start, end}: {start: number; end: number | undefined}) {
    const wanted = end === undefined ? undefined : {...sealedRange({start, end}), mayEndEarly: true};
    const sealed = await inner.get(key, wanted);
    giveUpRest(sealed);
    return packs.openInPlace(key, wanted === undefined ? sealed.subarray(frameBytes) : sealed, start, end);
  }

  /** Without the objects below `keys/` nothing can be read, so they are retained as long as the header. */
  async function retain(retained: readonly Key[]): Promise<void> {
    const wanted = retained.map((key) => names.hide(key));
    if (retained.includes(headerKey)) {
      for await (const {key} of inner.list(keysPrefix)) if (isInUse(key)) wanted.push(key);
    }
    await inner.retain!(wanted);
  }

  /** Older rings, and slots that were removed, could otherwise never leave a store that locks objects. */
  function isInUse(key: Key): boolean {
    const [, kind, name] = /\b(rings|slots)\/([^/]+)$/.exec(key) ?? [];
    if (kind === 'rings') return Number(name) >= generation;
    return kind !== 'slots' || slots === undefined || slots.includes(name!);
  }

  /** In the order of the names that users chose: hidden ones have another. */
  async function* sorted(listing: AsyncIterable<ObjectFacts>): AsyncGenerator<ObjectFacts> {
    const held: {facts: ObjectFacts; key: Key}[] = [];
    for await (const found of listing) {
      // A foreign file in the root of a folder.
      if (!isKey(found.key)) continue;
      if (!found.key.startsWith(manifestPrefixes[0])) {
        yield* released();
        yield found;
        continue;
      }
      const key = names.show(found.key);
      if (key !== undefined) held.push({facts: found, key});
    }
    yield* released();

    function* released() {
      held.sort((a, b) => (a.key < b.key ? -1 : 1));
      for (const {facts: found} of held.splice(0)) yield found;
    }
  }

  const resealer = resealerOf(inner, {vault, names, keysOf: (kind) => (kind === 'pack' ? data : meta)});
  return Object.assign(store, {sealing, resealer, generation: () => generation, renew: renewed});
}

const isOutside = (key: Key) => key === headerKey || key.startsWith(keysPrefix);

/** A verification that began before a rotation, and notes what it found after it. */
const needsNoLease = (key: Key) => key.startsWith(damagedPrefix) || key.startsWith(verifiedPrefix);

const requireInside = (key: Key) => assert(!isOutside(key), `${key} is not behind the seal`);
