import type {Random} from './random.ts';

/** A run with more events does not end: something waits for ever. */
const mostEvents = 200_000;

type Event = {atMs: number; number: number; run: () => void};

/** Virtual time and its events. One event runs at a time, until all promises that it resolves have been handled. */
export class World {
  readonly random: Random;
  nowMs = 0;
  events = 0;
  /** The events in words; absent unless `traced`. */
  readonly log: string[] | undefined;
  #queue: Event[] = [];
  #numbers = 0;

  constructor(random: Random, options: {traced?: boolean} = {}) {
    this.random = random;
    this.log = options.traced ? [] : undefined;
  }

  note(text: () => string): void {
    this.log?.push(`${(this.nowMs / 1000).toFixed(3).padStart(10)} ${text()}`);
  }

  /** Of two events at the same time, the one that was scheduled first runs first. */
  after(ms: number, run: () => void): void {
    const event = {atMs: this.nowMs + ms, number: this.#numbers++, run};
    let at = this.#queue.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, this.#queue[parent]!)) break;
      this.#queue[at] = this.#queue[parent]!;
      at = parent;
    }
    this.#queue[at] = event;
  }

  /** Runs until no event is left, or until `isOver`. @param check called after each event */
  async run(isOver: () => boolean, check: () => Promise<void>): Promise<void> {
    while (!isOver()) {
      const event = this.#take();
      if (event === undefined) return;
      this.nowMs = event.atMs;
      this.events += 1;
      if (this.events > mostEvents) throw new Error(`it does not end: ${mostEvents} events`);
      event.run();
      // All promises that it resolved are handled before the next event.
      await new Promise<void>((resolve) => setImmediate(resolve));
      await check();
    }
  }

  #take(): Event | undefined {
    const first = this.#queue[0];
    const last = this.#queue.pop();
    if (first === undefined || last === undefined || this.#queue.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#queue.length) break;
      const right = this.#queue[child + 1];
      if (right !== undefined && isBefore(right, this.#queue[child]!)) child += 1;
      if (!isBefore(this.#queue[child]!, last)) break;
      this.#queue[at] = this.#queue[child]!;
      at = child;
    }
    this.#queue[at] = last;
    return first;
  }
}

const isBefore = (a: Event, b: Event) => a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);
