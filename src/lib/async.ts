/**
 * Runs `work` on every item, at most `limit` at a time. After the first error no further item is started, and the
 * error is thrown once all running work has ended: nothing continues after this returns or throws.
 */
export async function forEachConcurrent<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const start = async (item: Item) => {
    try {
      await work(item);
    } catch (error) {
      failures.push(error);
    }
  };
  try {
    for await (const item of items) {
      if (failures.length > 0) break;
      const run = start(item).finally(() => running.delete(run));
      running.add(run);
      if (running.size >= limit) await Promise.race(running);
      if (failures.length > 0) break;
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
}

/**
 * Runs `work` on at most `limit` items at a time and yields the results in the order of the items. The first error
 * ends the iteration; work that is still running then continues, and its results and errors are dropped. Reads at
 * most `limit` items ahead of the consumer.
 * @param weigh how much of `limit` an item uses; default 1
 */
export async function* mapConcurrent<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<Result>,
  weigh: (item: Item) => number = () => 1,
): AsyncGenerator<Result> {
  const pending: {result: Promise<Result>; weight: number}[] = [];
  let weight = 0;
  const oldest = () => {
    const first = pending.shift()!;
    weight -= first.weight;
    return first.result;
  };
  for await (const item of items) {
    const result = work(item);
    // The consumer gets the error when it reaches this result; until then it must not count as an unhandled rejection.
    result.catch(() => {});
    pending.push({result, weight: weigh(item)});
    weight += pending.at(-1)!.weight;
    while (weight >= limit && pending.length > 0) yield await oldest();
  }
  while (pending.length > 0) yield await oldest();
}

/**
 * Yields the same items in the same order, with `count` of them requested ahead of the consumer. When the consumer
 * stops early, this waits until the generator has ended.
 */
export async function* readAhead<Item>(items: AsyncGenerator<Item>, count: number): AsyncGenerator<Item> {
  const pending: Promise<IteratorResult<Item, unknown>>[] = [];
  const request = () => {
    // A generator queues concurrent calls of next() and serves them in order.
    const next = items.next();
    // The consumer gets the error; until then it must not count as an unhandled rejection.
    next.catch(() => {});
    pending.push(next);
  };
  for (let requested = 0; requested < count; requested++) request();
  try {
    for (;;) {
      const next = await pending.shift()!;
      if (next.done) return;
      request();
      yield next.value;
    }
  } finally {
    // Resolves after all requested items, because the generator serves its calls in order.
    await items.return(undefined);
  }
}

/** Lets at most `count` pieces of work run at a time; the others wait in the order of their calls. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    // A finished call hands its slot directly to the next one, so a later caller cannot overtake it.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** Gives timers, I/O and other work a turn. */
export const yieldToEventLoop = () => new Promise<void>((resolve) => setImmediate(resolve));

/** `work` on every item, in order; what else the thread has to do goes on between two items. */
export async function eachInTurn<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Result,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    results.push(work(item));
    await yieldToEventLoop();
  }
  return results;
}
