/** Figures of running work. The totals are set when the work begins and then stay. */
export type WorkProgress = {
  phase: string;
  bytesDone: number;
  bytesTotal?: number;
  itemsDone: number;
  itemsTotal?: number;
  /** How much of the whole work is done, 0 to 1, if phases follow that move no bytes. Absent: as the bytes. */
  whole?: number;
};

/** What a piece of work needs from its caller. */
export type WorkTools = {
  nowMicros: () => number;
  signal: AbortSignal;
  progress: (progress: WorkProgress) => void;
  /** Reports something that the user should read once, whatever the outcome. */
  notice: (text: string) => void;
  /** How to wait. Default: the system's timers. */
  sleep?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
};
