import type {WorkProgress, WorkTools} from './tools.ts';

export type Meter = {
  /** Adds bytes that were moved. */
  bytes: (count: number) => void;
  /** Adds one finished item. */
  item: () => void;
  state: () => WorkProgress;
};

/**
 * Counts bytes and items of the phase that moves the data, and reports them.
 * @param totals.bytesDone what an interrupted attempt has moved. Default 0
 */
export function startMeter(
  {progress}: Pick<WorkTools, 'progress'>,
  {bytesTotal, itemsTotal, bytesDone = 0}: {bytesTotal?: number | undefined; itemsTotal: number; bytesDone?: number},
): Meter {
  const state: WorkProgress = {phase: 'TransferData', bytesDone, itemsDone: 0, itemsTotal};
  if (bytesTotal !== undefined) state.bytesTotal = bytesTotal;
  const report = () => progress({...state});
  report();
  return {
    bytes: (count) => {
      state.bytesDone += count;
      report();
    },
    item: () => {
      state.itemsDone++;
      report();
    },
    state: () => ({...state}),
  };
}
