import type {WorkProgress, WorkTools} from './tools.ts';

export type Meter = {
  /** Adds bytes that were moved. */
  bytes: (count: number) => void;
  /** Adds one finished item. */
  item: () => void;
  state: () => WorkProgress;
};

/** Counts bytes and items of the phase that moves the data, and reports them. */
export function startMeter(
  {progress}: Pick<WorkTools, 'progress'>,
  {bytesTotal, itemsTotal}: {bytesTotal?: number | undefined; itemsTotal: number},
): Meter {
  const state: WorkProgress = {phase: 'TransferData', bytesDone: 0, itemsDone: 0, itemsTotal};
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
