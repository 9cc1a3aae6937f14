import {BkpError} from '../../errors/index.ts';
import {isDamage} from '../format/damage.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {PacksInStore} from '../indexes/listing.ts';
import {covers, joined, rangesOf, type VerifiedPack} from '../ledger/ledger.ts';
import {type LedgerDeps, StoredLedger} from '../ledger/stored-ledger.ts';
import type {PackId, Recipe, WitnessRecord} from '../types.ts';
import {groupBytes} from './chunk-reader.ts';
import {Closure} from './closure.ts';
import {Recovery} from './recovery.ts';
import {runs} from './runs.ts';
import {StreamReader} from './stream-reader.ts';

export type WitnessDeps = LedgerDeps & {index: ChunkIndex};

/** Remembers which bytes of packs its reader decoded, each chunk with the hash that is its id. */
export class Witness {
  /** Reads everything from the store, lists of chunks included. */
  readonly reader: StreamReader;
  readonly #deps: WitnessDeps;
  readonly #sinceMs: number;
  readonly #decoded = new Map<PackId, number[]>();

  constructor(deps: WitnessDeps) {
    this.#deps = deps;
    this.#sinceMs = deps.clock.wallMs();
    this.reader = new StreamReader(deps.store, deps.index, {saw: (locations) => this.#saw(locations)});
  }

  /** @param locations adjacent chunks of one pack, in its order */
  #saw(locations: readonly Location[]): void {
    const pack = locations[0]!.pack;
    const ranges = this.#decoded.get(pack) ?? [];
    this.#decoded.set(pack, ranges);
    const [start, end] = rangesOf(locations) as [number, number];
    // Chunks are mostly read in the order of their packs: a range then grows instead of another one beginning.
    if (ranges.at(-1) === start) ranges[ranges.length - 1] = end;
    else ranges.push(start, end);
  }

  /** See `Witnessed.record`. */
  async record(recipes: readonly Recipe[], signal?: AbortSignal): Promise<WitnessRecord> {
    const {index} = this.#deps;
    const inStore = await index.apply(await index.observe());
    const fault = await this.#readRest(recipes, signal);
    const unrecorded = await this.#write(inStore);
    return {...(fault === undefined ? {} : {fault}), ...(unrecorded === undefined ? {} : {unrecorded})};
  }

  /** Reads what these streams need and nothing has read yet. @returns the first damage */
  async #readRest(recipes: readonly Recipe[], signal: AbortSignal | undefined): Promise<BkpError | undefined> {
    const {index} = this.#deps;
    const recovery = new Recovery(index);
    let first: BkpError | undefined;
    const note = (error: unknown) => {
      if (!isDamage(error)) throw error;
      first ??= error;
    };
    const closure = new Closure(index, this.reader);
    try {
      for (const recipe of recipes) await closure.addStream(recipe, note, signal);
      for (const pack of closure.packs().keys()) {
        const seen = joined(this.#decoded.get(pack) ?? []);
        const isNew = ({offset, storedBytes}: Location) => !covers(seen, offset, offset + storedBytes);
        for (const run of runs(closure.chunksOf(pack).filter(isNew), {gapBytes: 0, readBytes: groupBytes})) {
          signal?.throwIfAborted();
          await this.reader.chunks.readRange(run, recovery).catch(note);
        }
      }
      return first;
    } finally {
      closure.close();
    }
  }

  async #write(inStore: PacksInStore): Promise<BkpError | undefined> {
    const {index} = this.#deps;
    const verified: VerifiedPack[] = [];
    for (const [pack, ranges] of this.#decoded) {
      if (inStore.has(pack) && !index.isDistrusted(pack)) verified.push({pack, ranges: joined(ranges)});
    }
    try {
      const stored = await StoredLedger.read(this.#deps);
      await stored.record(verified, this.#sinceMs, (pack) => inStore.has(pack));
      return undefined;
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      return error;
    }
  }
}
