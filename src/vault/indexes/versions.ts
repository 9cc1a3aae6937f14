import type {Clock} from '../../lib/clock.ts';
import type {Key, ObjectFacts} from '../../stores/index.ts';

export type Version = {version: string; sizeBytes: number};

/** A version that was seen longer ago is not the present one any more. */
const freshMs = 60_000;

/** Which version of which object the store showed this process in a listing just now. */
export class Versions {
  readonly #clock: Clock;
  readonly #seen = new Map<Key, Version & {atMs: number}>();
  /** False in a store that has no versions, as far as anybody knows: nothing is worth keeping then. */
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

  /** What a listing that is through did not show is gone. */
  forgetUnseen(prefix: string, seen: ReadonlySet<Key>): void {
    for (const key of this.#seen.keys()) if (key.startsWith(prefix) && !seen.has(key)) this.#seen.delete(key);
  }
}
