import {BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Clock} from '../../lib/clock.ts';
import {type Key, probeKey, removeIfAllowed} from '../../stores/index.ts';
import type {SealedStore} from '../crypto/sealed-store.ts';
import {isDamage} from '../format/damage.ts';
import {isManifestKey, locksPrefix, packsPrefix} from '../format/key.ts';
import {acquireLease} from '../lease/acquire.ts';
import type {LeaseMode} from '../lease/content.ts';
import type {Lease, LeaseDeps} from '../lease/lease.ts';
import {listLeases} from '../lease/objects.ts';
import type {Reencrypted, ReencryptOptions} from '../types.ts';
import {noteReseal, readReseals} from './notes.ts';

/** A lease is released after this time, so that collectors get their turn. */
const turnMs = 20_000;

/** A lease is confirmed for at least a minute: this, and the longest put of a pack on a slow line, is less. */
const confirmedMs = 10_000;

/** Frames and small objects. */
const smallAtOnce = 8;

/** So many objects are looked at before some are sealed again; their manifests are in one note. */
const mostInTurn = {packs: 8, others: 256};

/** More than this is not done while no backup can begin. */
const mostExclusively = 256;

/** How long the last step waits for writers, and how long they then get before the next try. */
const exclusiveWaitMs = 1000;
const exclusivePauseMs = 5000;

export type ReencryptDeps = {
  sealed: SealedStore;
  leases: LeaseDeps;
  clock: Clock;
  randomId: () => string;
  /** Uses the newest ring from now on. */
  catchUp: () => Promise<void>;
  packsAtOnce: number;
};

type Found = {key: Key; sizeBytes: number};

/** See `Vault.reencrypt`. The order of its writes is the one of docs/format.md, "Re-encryption". */
export async function reencrypt(deps: ReencryptDeps, options: ReencryptOptions): Promise<Reencrypted> {
  return new Reencryption(deps, options).run();
}

class Reencryption {
  readonly #deps: ReencryptDeps;
  readonly #options: ReencryptOptions;
  /** Under the newest keys; everything later is as well. */
  readonly #current = new Set<Key>();
  #generation = 0;
  #objects = 0;
  #bytes = 0;
  readonly #damaged = new Map<Key, string>();

  constructor(deps: ReencryptDeps, options: ReencryptOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async run(): Promise<Reencrypted> {
    for (;;) {
      await this.#all();
      const end = await this.#exclusively();
      if (end !== undefined) return end;
    }
  }

  /** Everything that is in the store now. */
  async #all(): Promise<void> {
    this.#damaged.clear();
    let lease = await this.#lease('writer');
    try {
      const found = await this.#unseen();
      const progress = this.#progress(found);
      const nowMs = () => this.#deps.clock.monotonicMs();
      let heldSinceMs = nowMs();
      for (const some of inTurns(found)) {
        if (nowMs() - heldSinceMs >= turnMs) {
          await lease.release();
          lease = await this.#lease('writer');
          heldSinceMs = nowMs();
        }
        await this.#reseal(some, lease, progress);
      }
      // The last step would wait for it.
      await lease.release();
    } finally {
      await lease.releaseIfPossible();
    }
  }

  /**
   * What was written meanwhile, when no writer is left that may use older keys.
   * @returns undefined if that was much, or if the keys were changed meanwhile
   */
  async #exclusively(): Promise<Reencrypted | undefined> {
    const lease = await this.#lease('collector');
    try {
      const left: Found[] = [];
      for (const found of await this.#unseen()) if (await this.#isOld(found.key)) left.push(found);
      if (left.length > mostExclusively) return undefined;
      for (const some of inTurns(left)) await this.#reseal(some, lease, () => {});
      await this.#dropNotes();
      await lease.confirm();
      const damaged = [...this.#damaged].map(([key, detail]) => ({key, detail}));
      if (damaged.length === 0 && !(await this.#options.finish(this.#generation))) return undefined;
      return {objects: this.#objects, bytes: this.#bytes, damaged};
    } finally {
      await lease.releaseIfPossible();
    }
  }

  /** Waits as long as it takes: other leases end. */
  async #lease(mode: LeaseMode): Promise<Lease> {
    const {leases, sealed, clock, catchUp} = this.#deps;
    const {purpose, signal} = this.#options;
    const subject = {purpose, subject: 'keys of the vault'};
    const wait =
      mode === 'writer' ? {waitMs: Number.POSITIVE_INFINITY} : {waitMs: exclusiveWaitMs, isOneTryOfMany: true};
    for (;;) {
      try {
        const found = async () => ({leases: await listLeases(sealed)});
        const {lease} = await acquireLease(leases, {mode, subject, ...wait, signal}, found);
        await catchUp().catch(async (error: unknown) => {
          await lease.releaseIfPossible();
          throw error;
        });
        // What was seen under the newest keys is under older ones now.
        if (sealed.generation() !== this.#generation) this.#current.clear();
        this.#generation = sealed.generation();
        return lease;
      } catch (error) {
        if (mode === 'writer' || !(error instanceof BkpError && error.code === 'VAULT_LOCKED')) throw error;
      }
      this.#options.progress?.({phase: 'waiting'});
      await clock.sleep(exclusivePauseMs, signal);
    }
  }

  async #unseen(): Promise<Found[]> {
    const found: Found[] = [];
    for await (const {key, sizeBytes} of this.#deps.sealed.list('')) {
      this.#options.signal?.throwIfAborted();
      if (!key.startsWith(locksPrefix) && key !== probeKey && !this.#current.has(key)) found.push({key, sizeBytes});
    }
    return found;
  }

  #progress(found: readonly Found[]): (done: Found) => void {
    const bytesTotal = found.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
    let [bytesDone, itemsDone] = [0, 0];
    return ({sizeBytes}) => {
      bytesDone += sizeBytes;
      itemsDone += 1;
      this.#options.progress?.({phase: 'sealing', bytesDone, bytesTotal, itemsDone, itemsTotal: found.length});
    };
  }

  async #reseal(some: readonly Found[], lease: Lease, done: (found: Found) => void): Promise<void> {
    const {sealed, randomId, packsAtOnce, clock} = this.#deps;
    const old: Found[] = [];
    const atOnce = some[0]!.key.startsWith(packsPrefix) ? packsAtOnce : smallAtOnce;
    await forEachConcurrent(some, smallAtOnce, async (found) => {
      if (await this.#isOld(found.key)) old.push(found);
      else done(found);
    });
    const manifests = old.filter(({key}) => isManifestKey(key)).map(({key}) => key);
    const note = manifests.length === 0 ? undefined : await noteReseal(sealed, manifests, randomId);
    if (old.length > 0) await lease.confirm();
    let isRepeated = false;
    const onRepeated = () => {
      isRepeated = true;
    };
    let confirmedAtMs = clock.monotonicMs();
    await forEachConcurrent(old, atOnce, async (found) => {
      this.#options.signal?.throwIfAborted();
      if (clock.monotonicMs() - confirmedAtMs >= confirmedMs) {
        confirmedAtMs = clock.monotonicMs();
        await lease.confirm();
      }
      await this.#one(found.key, async () => {
        const bytes = await sealed.resealer.reseal(found.key, {onRepeated});
        this.#bytes += bytes;
        if (bytes > 0) this.#objects += 1;
        this.#current.add(found.key);
      });
      done(found);
    });
    // Of a repeated put, a copy may be on its way.
    if (note === undefined || isRepeated) return;
    // Every put was answered, and no process has taken us for dead meanwhile: nothing is on its way.
    await lease.confirm();
    await removeIfAllowed(sealed, [note]);
  }

  async #isOld(key: Key): Promise<boolean> {
    let isOld: boolean | undefined = false;
    await this.#one(key, async () => {
      isOld = await this.#deps.sealed.resealer.isOld(key);
      if (isOld === false) this.#current.add(key);
    });
    return isOld ?? false;
  }

  /** An object that does not open is no reason to leave the others under the older keys. */
  async #one(key: Key, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#damaged.set(key, error.message);
    }
  }

  /** Those of which no manifest is left. Another re-encryption wrote them, and has ended. */
  async #dropNotes(): Promise<void> {
    const {sealed} = this.#deps;
    for (const [note, manifests] of await readReseals(sealed)) {
      let isNeeded = false;
      for (const key of manifests) isNeeded ||= (await sealed.stat(key)) !== undefined;
      if (!isNeeded) await removeIfAllowed(sealed, [note]);
    }
  }
}

/** Parts of the listing: packs by themselves, because they are large. */
function* inTurns(found: readonly Found[]): Generator<readonly Found[]> {
  const kindOf = ({key}: Found) => (key.startsWith(packsPrefix) ? 'packs' : 'others');
  let turn: Found[] = [];
  for (const one of found) {
    const kind = kindOf(one);
    if (turn.length > 0 && (turn.length >= mostInTurn[kind] || kindOf(turn[0]!) !== kind)) {
      yield turn;
      turn = [];
    }
    turn.push(one);
  }
  if (turn.length > 0) yield turn;
}
