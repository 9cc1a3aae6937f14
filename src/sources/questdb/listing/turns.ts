import {setImmediate as nextTurn} from 'node:timers/promises';

/** How long blocking calls run before other work of the thread, such as a cancel or a heartbeat, gets its turn. */
const turnMs = 20;

/** Await `next()` now and then in a loop that takes long without waiting for anything. */
export class Turns {
  #begunAtMs = performance.now();

  async next(): Promise<void> {
    if (performance.now() - this.#begunAtMs < turnMs) return;
    await nextTurn();
    this.#begunAtMs = performance.now();
  }
}
