/** Figures of running work. `bytesTotal` and `itemsTotal` are set once they are known and then stay. */
export type DatabaseProgress = {
  phase: string;
  bytesDone: number;
  bytesTotal?: number;
  itemsDone: number;
  itemsTotal?: number;
};

/** What every piece of work is given of its surroundings. */
export type DatabaseTools = {
  nowMicros: () => number;
  signal: AbortSignal;
  progress: (progress: DatabaseProgress) => void;
  /** Something that the user should read once, whatever the outcome. */
  notice: (text: string) => void;
};

export type Meter = {bytes: (count: number) => void; item: () => void; state: () => DatabaseProgress};

/** Counts bytes and files of the phase that moves the data. */
export function startMeter(tools: DatabaseTools, totals: {bytesTotal: number; itemsTotal: number}): Meter {
  const state: DatabaseProgress = {phase: 'TransferData', bytesDone: 0, itemsDone: 0, ...totals};
  const tell = () => tools.progress({...state});
  tell();
  return {
    bytes: (count) => {
      state.bytesDone += count;
      tell();
    },
    item: () => {
      state.itemsDone++;
      tell();
    },
    state: () => ({...state}),
  };
}

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
