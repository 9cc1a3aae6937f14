/**
 * Runs `work` on up to `limit` items at once and yields the results in the order of the items. The first error ends
 * it; what is under way then goes on and is forgotten. `items` is read ahead by `limit` at most.
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const pending: Promise<Result>[] = [];
  for await (const item of items) {
    const result = work(item);
    // Whoever awaits it later gets the error; until then it must not count as unhandled.
    result.catch(() => {});
    pending.push(result);
    if (pending.length >= limit) yield await pending.shift()!;
  }
  while (pending.length > 0) yield await pending.shift()!;
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
