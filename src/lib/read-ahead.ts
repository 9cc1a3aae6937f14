/**
 * The same items in the same order, `count` of them asked for before they are wanted. Nothing goes on behind the back of
 * whoever stops before the end.
 */
export async function* readAhead<Item>(items: AsyncGenerator<Item>, count: number): AsyncGenerator<Item> {
  const pending: Promise<IteratorResult<Item, unknown>>[] = [];
  const ask = () => {
    // A generator answers one call after the other, however many are waiting.
    const next = items.next();
    // Whoever awaits it gets the error; until then it must not count as unhandled.
    next.catch(() => {});
    pending.push(next);
  };
  for (let asked = 0; asked < count; asked++) ask();
  try {
    for (;;) {
      const next = await pending.shift()!;
      if (next.done) return;
      ask();
      yield next.value;
    }
  } finally {
    // Answered after all that was asked for.
    await items.return(undefined);
  }
}
