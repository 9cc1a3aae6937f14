import {createHash} from 'node:crypto';
import {test} from 'vitest';
import {type MemoryStoreOptions, type ObjectFacts, openMemoryStore, type Store} from '../../src/stores/index.ts';
import {
  type Clock,
  createKeys,
  type Host,
  type Manifest,
  openVault,
  type Piece,
  type Recipe,
  type RingPin,
  type Secret,
  unlock,
  type Vault,
  type VaultEncryption,
  type VaultOptions,
} from '../../src/vault/index.ts';
import {sealedForTests} from './sealed-for-tests.ts';

/** Bytes that do not compress, the same for the same seed. */
export function noise(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  for (let at = 0; at < sizeBytes; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    bytes[at] = state;
  }
  return bytes;
}

/** A copy with some bytes changed. */
export function changed(bytes: Uint8Array, ...positions: number[]): Buffer {
  const copy = Buffer.from(bytes);
  for (const position of positions) copy[position]! ^= 0xff;
  return copy;
}

/** A clock that moves only when a test advances it or something sleeps. */
export type FakeClock = Clock & {advance(ms: number): void};

export function fakeClock(): FakeClock {
  let nowMs = 0;
  const timers = new Set<{everyMs: number; nextMs: number; work: () => void}>();
  const advance = (ms: number) => {
    nowMs += ms;
    for (const timer of timers) {
      while (timer.nextMs <= nowMs) {
        timer.nextMs += timer.everyMs;
        timer.work();
      }
    }
  };
  return {
    wallMs: () => 1_795_000_000_000 + nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      advance(ms);
      // Lets the work that the timers started finish.
      await new Promise((resolve) => setTimeout(resolve, 1));
    },
    every: (everyMs, work) => {
      const timer = {everyMs, nextMs: nowMs + everyMs, work};
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance,
  };
}

/** One process of a machine. Add pids to `dead` to make other processes look ended. */
export function fakeHost(pid: number, space: string | null = 'boot-1/pids-1'): Host & {dead: Set<number>} {
  const dead = new Set<number>();
  return {
    name: 'host-1',
    pid,
    started: '1',
    ...(space === null ? {} : {space}),
    dead,
    isAlive: (other) => !dead.has(other),
  };
}

export const open = (store: Store, options: Partial<VaultOptions> = {}): Promise<Vault> =>
  openVault({store, create: true, ...options});

/** A key, so that no test waits for the derivation of a password. */
export const testKey: Secret = {kind: 'key', bytes: Buffer.alloc(20, 7)};

/** Opens, and makes, vaults with one secret. */
export const encryptedWith = (secret: Secret, pin?: RingPin): VaultEncryption => ({
  isWanted: true,
  unlock: async (store, vault) => (await unlock(store, secret, {vault, pin})).ring.keys,
  create: async (store, vault) => (await createKeys({store, nowMs: 0}, vault, {secret, label: 'test'})).ring.keys,
});

/**
 * A store in memory. With `BKP_TEST_ENCRYPTED=1` it seals what it holds, below all that tests put around it: then
 * what tests say of a vault holds for an encrypted one as well.
 */
export const newStore = (options?: MemoryStoreOptions): Store => {
  const inner = openMemoryStore(options);
  return isEncrypted ? sealedForTests(inner) : inner;
};

const isEncrypted = process.env.BKP_TEST_ENCRYPTED === '1';

/** A test of exact sizes or requests, which encryption changes. */
export const testPlain = test.skipIf(isEncrypted);

/** With `BKP_TEST_ENCRYPTED=1`, for {@link openVault}: really encrypted vaults in real folders. */
export const encryptionForTests = () => (isEncrypted ? encryptedWith(testKey) : undefined);

/** A copy of the store, to repeat something from the same state. */
export async function copyOf(store: Store): Promise<Store> {
  const copy = newStore();
  for (const key of await keysOf(store)) await copy.put(key, await store.get(key));
  return copy;
}

/** A store that locks retained objects for `days` by `clock`. `asked`: the keys that `retain` was called with. */
export function lockingStore(inner: Store, clock: {nowMs: number}, days: number) {
  const periodMs = days * 24 * 60 * 60 * 1000;
  const until = new Map<string, number>();
  const asked: string[] = [];
  const lock = (key: string) => until.set(key, clock.nowMs + periodMs);
  const store: Store = {
    ...inner,
    properties: {...inner.properties, objectLock: true},
    put: async (key, body, options) => {
      const outcome = await inner.put(key, body, options);
      if (outcome === 'written' && options?.retained) lock(key);
      return outcome;
    },
    delete: async (keys) => {
      const staying = keys.filter((key) => (until.get(key) ?? 0) > clock.nowMs);
      await inner.delete(keys.filter((key) => !staying.includes(key)));
      return staying.map((key) => ({key, untilMs: until.get(key)!}));
    },
    retain: async (keys) => {
      asked.push(...keys);
      for (const key of keys) lock(key);
    },
  };
  return Object.assign(store, {asked, until});
}

/** A store like an S3 server, with the MD5 of an object as its version. `reads`: the keys that were fetched. */
export function serverStore(inner: Store = newStore()): Store & {reads: string[]} {
  const reads: string[] = [];
  const versioned = async (facts: ObjectFacts): Promise<ObjectFacts> => ({
    ...facts,
    version: createHash('md5')
      .update(await inner.get(facts.key))
      .digest('hex'),
  });
  return {
    ...inner,
    reads,
    properties: {versions: true, flatListing: true, objectLock: false},
    get: async (key, range) => {
      reads.push(key);
      return inner.get(key, range);
    },
    async *list(prefix, options) {
      for await (const facts of inner.list(prefix, options)) yield versioned(facts);
    },
    stat: async (key) => {
      const facts = await inner.stat(key);
      return facts && versioned(facts);
    },
  };
}

export const manifestKey = (name: string) => `.backups/collections/shop/${name}/manifest`;

export const manifestOf = (...streams: Recipe[]): Manifest => ({kind: 'test', streams, body: {note: 'a test'}});

/** Commits a backup of one stream. */
export async function backup(
  vault: Vault,
  name: string,
  pieces: AsyncIterable<Piece> | Iterable<Piece>,
): Promise<Recipe> {
  const writer = await vault.writer({purpose: `backup ${name}`});
  try {
    const recipe = await writer.write(pieces);
    await writer.commit(manifestKey(name), manifestOf(recipe));
    return recipe;
  } finally {
    await writer.close();
  }
}

export async function readAll(vault: Vault, recipe: Recipe): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of vault.read(recipe)) parts.push(part);
  return Buffer.concat(parts);
}

export async function keysOf(store: Store, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const {key} of store.list(prefix)) keys.push(key);
  return keys;
}

/** Keys of all manifests, including those that do not count. */
export const manifestsOf = async (store: Store) =>
  (await keysOf(store, '.backups/')).filter((key) => key.endsWith('/manifest'));

/** Ids that are the same in each run. */
export function countedIds(): () => string {
  let count = 0;
  return () => (++count).toString(16).padStart(32, '0');
}

/** The findings of verifying every manifest of the vault. */
export async function findings(vault: Vault, level: 'structure' | 'data' = 'data') {
  const found = [];
  for await (const key of vault.keys('.backups/')) {
    if (key.endsWith('/manifest'))
      found.push(...(await vault.verify((await vault.manifest(key)).streams, {level})).findings);
  }
  return found;
}
