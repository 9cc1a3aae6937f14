/**
 * Runs `work` on every item, up to `limit` at once. After the first error no item is begun any more; it is thrown when all
 * that was under way has ended, so that nobody writes behind the back of whoever catches it.
 */
export async function forEachAtOnce<Item>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  let failure: {error: unknown} | undefined;
  const lane = async () => {
    for (let next = queue.next(); !next.done && failure === undefined; next = queue.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failure ??= {error};
      }
    }
  };
  await Promise.all(Array.from({length: limit}, lane));
  if (failure !== undefined) throw (failure as {error: unknown}).error;
}
