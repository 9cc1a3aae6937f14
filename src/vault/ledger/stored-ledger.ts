import {BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Clock} from '../../lib/clock.ts';
import {type Key, removeIfAllowed, type Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {verifiedPrefix} from '../format/key.ts';
import type {PackId} from '../types.ts';
import {readLedgerDocument, writeLedgerDocument} from './document.ts';
import {Ledger, type VerifiedPack} from './ledger.ts';

/** As many documents are read one by one before they are replaced by one. */
const documentsAtMost = 16;

const readsAtOnce = 4;

/** Another verification replaces documents while they are read; after this many attempts something is lost for good. */
const listTries = 3;

/** Clocks of two hosts may differ by this much before one of them counts as wrong. */
const skewMs = 5 * 60_000;

export type LedgerDeps = {store: Store; clock: Pick<Clock, 'wallMs'>; randomId: () => string};

/** The ledger in a store: what its documents said when they were read, and how to add to it. */
export class StoredLedger {
  readonly ledger = new Ledger();
  readonly #deps: LedgerDeps;
  /** Documents that were read, and damaged ones, with their packs: all that a new document may replace. */
  readonly #read = new Map<Key, readonly PackId[]>();
  /** Documents that others replace, and that are still there. */
  readonly #replaced = new Set<Key>();

  private constructor(deps: LedgerDeps) {
    this.#deps = deps;
  }

  static async read(deps: LedgerDeps): Promise<StoredLedger> {
    for (let tries = 1; ; tries++) {
      const stored = new StoredLedger(deps);
      const keys: Key[] = [];
      for await (const {key} of deps.store.list(verifiedPrefix)) keys.push(key);
      let isComplete = true;
      // Newest first: they name the older ones that they replace.
      await forEachConcurrent(keys.toReversed(), readsAtOnce, async (key) => {
        isComplete = (await stored.#add(key)) && isComplete;
      });
      const present = new Set(keys);
      for (const key of stored.#replaced) stored.#read.delete(key);
      for (const key of stored.#replaced) if (!present.has(key)) stored.#replaced.delete(key);
      if (isComplete || tries === listTries) return stored;
    }
  }

  /** @returns false if another process has replaced it since it was listed */
  async #add(key: Key): Promise<boolean> {
    if (this.#replaced.has(key)) return true;
    const latestMs = this.#deps.clock.wallMs() + skewMs;
    const of: PackId[] = [];
    try {
      const {replaces, runs} = await readLedgerDocument(this.#deps.store, key);
      for (const other of replaces) this.#replaced.add(other);
      for (const [atMs, packs] of runs) {
        for (const one of packs) {
          of.push(one.pack);
          if (atMs <= latestMs) this.ledger.add(one, atMs);
        }
      }
    } catch (error) {
      if (error instanceof BkpError && error.code === 'OBJECT_MISSING') return false;
      // Of a newer bkp, which keeps it.
      if (error instanceof BkpError && error.code === 'STORE_REFUSED') return true;
      if (!isDamage(error)) throw error;
    }
    this.#read.set(key, of);
    return true;
  }

  /**
   * Adds what was verified to the store.
   * @param exists whether a pack is still in the store; the ledger forgets others when it is written as one document
   * @throws BkpError when the store cannot be written
   */
  async record(verified: readonly VerifiedPack[], atMs: number, exists: (pack: PackId) => boolean): Promise<void> {
    if (verified.length === 0) return;
    for (const one of verified) this.ledger.add(one, atMs);
    const {store, clock, randomId} = this.#deps;
    const name = () => ({nowMs: clock.wallMs(), id: randomId()});
    if (this.#read.size < documentsAtMost) {
      const runs = new Map([[atMs, verified]]);
      this.#read.set(await writeLedgerDocument(store, {replaces: [], runs}, name()), packsOf(runs));
      return;
    }
    const replaces = [...this.#read.keys(), ...this.#replaced];
    const runs = new Map<number, readonly VerifiedPack[]>();
    for (const [ms, packs] of this.ledger.runs()) {
      const kept = packs.filter(({pack}) => exists(pack));
      if (kept.length > 0) runs.set(ms, kept);
    }
    const key = await writeLedgerDocument(store, {replaces, runs}, name());
    this.#read.clear();
    this.#replaced.clear();
    this.#read.set(key, packsOf(runs));
    // Where they may not be removed, the next document names them again.
    if (!(await removeIfAllowed(store, replaces))) for (const one of replaces) this.#replaced.add(one);
  }

  /** Removes documents that say nothing about a pack that exists; for a collector. */
  async removeOutdated(exists: (pack: PackId) => boolean): Promise<void> {
    const outdated = [...this.#read].filter(([, packs]) => !packs.some(exists)).map(([key]) => key);
    await removeIfAllowed(this.#deps.store, [...outdated, ...this.#replaced]);
  }
}

const packsOf = (runs: ReadonlyMap<number, readonly VerifiedPack[]>) =>
  [...runs.values()].flatMap((verified) => verified.map(({pack}) => pack));
