import type {Clock} from '../../lib/clock.ts';
import type {Key, ObjectFacts} from '../../stores/index.ts';

export type Version = {version: string; sizeBytes: number};

/** A version that was listed longer ago may have been replaced. */
const freshMs = 60_000;

/** The versions of objects that recent listings of this process showed. */
export class Versions {
  readonly #clock: Clock;
  readonly #seen = new Map<Key, Version & {atMs: number}>();
  /**
   * False until a listing has shown a version, unless the store has a server. Without versions there is nothing
   * to cache.
   */
  areSupported: boolean;

  constructor(clock: Clock, options: {areSupported: boolean}) {
    this.#clock = clock;
    this.areSupported = options.areSupported;
  }

  remember({key, version, sizeBytes}: ObjectFacts): void {
    if (version === undefined) return;
    this.areSupported = true;
    this.#seen.set(key, {version, sizeBytes, atMs: this.#clock.monotonicMs()});
  }

  fresh(key: Key): Version | undefined {
    const seen = this.#seen.get(key);
    if (seen === undefined) return undefined;
    if (this.#clock.monotonicMs() - seen.atMs < freshMs) return seen;
    this.#seen.delete(key);
    return undefined;
  }

  /** Forgets the objects below `prefix` that a complete listing did not show. */
  forgetUnseen(prefix: string, seen: ReadonlySet<Key>): void {
    for (const key of this.#seen.keys()) if (key.startsWith(prefix) && !seen.has(key)) this.#seen.delete(key);
  }
}
