/** Figures of running work; totals are set at plan time and then stay. */
export type WorkProgress = {
  phase: string;
  bytesDone: number;
  bytesTotal?: number;
  itemsDone: number;
  itemsTotal?: number;
};

/** What every piece of work is given of its surroundings. */
export type WorkTools = {
  nowMicros: () => number;
  signal: AbortSignal;
  progress: (progress: WorkProgress) => void;
  /** Something that the user should read once, whatever the outcome. */
  notice: (text: string) => void;
  /** How to wait; absent: by the system's clock. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
};

export type Meter = {
  bytes: (count: number) => void;
  item: () => void;
  state: () => WorkProgress;
};

/** Counts bytes and items of the phase that moves the data. */
export function startMeter(tools: WorkTools, totals: {bytesTotal?: number; itemsTotal: number}): Meter {
  const state: WorkProgress = {phase: 'TransferData', bytesDone: 0, itemsDone: 0, ...totals};
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
