import {forEachConcurrent} from '../../lib/async.ts';
import {type Key, probeKey} from '../../stores/index.ts';
import type {SealedStore} from '../crypto/sealed-store.ts';
import {isDamage} from '../format/damage.ts';
import {locksPrefix} from '../format/key.ts';
import {acquireLease} from '../lease/acquire.ts';
import type {Lease, LeaseDeps} from '../lease/lease.ts';
import {listLeases} from '../lease/objects.ts';
import type {ForgetOptions, OlderKeys} from '../types.ts';

const readsAtOnce = 8;

/** More than this is not looked at while no backup can begin. */
const mostExclusively = 256;

/** Damaged objects that a result names. */
const mostUnclear = 10;

export type ForgetDeps = {
  sealed: SealedStore;
  leases: LeaseDeps;
  /** Uses the newest ring from now on. */
  catchUp: () => Promise<void>;
  /** How long it waits for running backups. */
  lockWaitMs: number;
};

/** See `Vault.forgetKeys`. Why this proves that a key is not needed is in docs/format.md, "Forgotten keys". */
export async function forgetKeys(deps: ForgetDeps, options: ForgetOptions): Promise<OlderKeys> {
  for (;;) {
    const found = await new Search(deps, options).run();
    if (found !== undefined) return found;
  }
}

/** One look at everything, with the keys of one ring. */
class Search {
  readonly #deps: ForgetDeps;
  readonly #options: ForgetOptions;
  readonly #seen = new Set<Key>();
  readonly #needed = new Map<string, {objects: number; example: Key}>();
  readonly #unclear = new Map<Key, string>();

  constructor(deps: ForgetDeps, options: ForgetOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** @returns undefined if the keys were changed meanwhile */
  async run(): Promise<OlderKeys | undefined> {
    const {sealed} = this.#deps;
    // All that began with an older ring has ended when we hold this one, and whoever begins later uses ours.
    const first = await this.#lease();
    const generation = sealed.generation();
    await first.release();
    await this.#look(await this.#unseen());
    for (;;) {
      if (this.#unneeded().length === 0) return this.#result();
      const lease = await this.#lease();
      try {
        if (sealed.generation() !== generation) return undefined;
        const left = await this.#unseen();
        if (left.length <= mostExclusively) {
          await this.#look(left);
          const unneeded = this.#unneeded();
          await lease.confirm();
          if (unneeded.length > 0 && !(await this.#options.forget(unneeded, generation))) return undefined;
          return this.#result();
        }
      } finally {
        await lease.releaseIfPossible();
      }
      await this.#look(await this.#unseen());
    }
  }

  async #lease(): Promise<Lease> {
    const {leases, sealed, catchUp, lockWaitMs: waitMs} = this.#deps;
    const {purpose, signal} = this.#options;
    const subject = {purpose, subject: 'keys of the vault'};
    const found = async () => ({leases: await listLeases(sealed)});
    const {lease} = await acquireLease(leases, {mode: 'collector', subject, waitMs, signal}, found);
    await catchUp().catch(async (error: unknown) => {
      await lease.releaseIfPossible();
      throw error;
    });
    return lease;
  }

  async #unseen(): Promise<Key[]> {
    const found: Key[] = [];
    for await (const {key} of this.#deps.sealed.list('')) {
      if (!key.startsWith(locksPrefix) && key !== probeKey && !this.#seen.has(key)) found.push(key);
    }
    return found;
  }

  async #look(keys: readonly Key[]): Promise<void> {
    const {signal, progress} = this.#options;
    let done = 0;
    await forEachConcurrent(keys, readsAtOnce, async (key) => {
      signal?.throwIfAborted();
      await this.#one(key);
      this.#seen.add(key);
      done += 1;
      progress?.(done, keys.length);
    });
  }

  async #one(key: Key): Promise<void> {
    try {
      const id = await this.#deps.sealed.resealer.keyOf(key);
      if (id === undefined) return;
      const {objects, example} = this.#needed.get(id) ?? {objects: 0, example: key};
      this.#needed.set(id, {objects: objects + 1, example});
    } catch (error) {
      if (!isDamage(error)) throw error;
      // Its content may still be read with one of the older keys: that of a pack does not need the first bytes.
      this.#unclear.set(key, error.message);
    }
  }

  #unneeded(): string[] {
    if (this.#unclear.size > 0) return [];
    return this.#deps.sealed.resealer.olderKeys().filter((id) => !this.#needed.has(id));
  }

  #result(): OlderKeys {
    const older = new Set(this.#deps.sealed.resealer.olderKeys());
    const unclear = [...this.#unclear].slice(0, mostUnclear).map(([key, detail]) => ({key, detail}));
    return {
      unneeded: this.#unneeded(),
      needed: new Map([...this.#needed].filter(([id]) => older.has(id))),
      unclear,
    };
  }
}
