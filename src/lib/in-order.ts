/**
 * Runs `work` on up to `limit` items at once and yields the results in the order of the items. The first error ends
 * it; what is under way then goes on and is forgotten. `items` is read ahead by `limit` at most.
 * @param weigh what an item counts; default 1
 */
export async function* inOrder<Item, Result>(
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
    // Whoever awaits it later gets the error; until then it must not count as unhandled.
    result.catch(() => {});
    pending.push({result, weight: weigh(item)});
    weight += pending.at(-1)!.weight;
    while (weight >= limit && pending.length > 0) yield await oldest();
  }
  while (pending.length > 0) yield await oldest();
}

/** The same for work without a result. */
export async function forEach<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  for await (const _ of inOrder(items, limit, work));
}

/** Lets timers and other work have their turn. */
export const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));
