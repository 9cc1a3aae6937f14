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
  /** To be called before one call that may block this thread for many seconds. Default: nothing has to know. */
  blocks?: (() => void) | undefined;
  /** How to wait. Default: the system's timers. */
  sleep?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
};

/** Reports one part of a longer piece of work. @param share of the whole, 0 to 1 */
export function partOf(
  {progress}: Pick<WorkTools, 'progress'>,
  share: {from: number; to: number},
): WorkTools['progress'] {
  return (state) => progress({...state, whole: share.from + (share.to - share.from) * doneOf(state)});
}

function doneOf({whole, bytesDone, bytesTotal = 0, itemsDone, itemsTotal = 0}: WorkProgress): number {
  if (whole !== undefined) return whole;
  if (bytesTotal > 0) return Math.min(1, bytesDone / bytesTotal);
  return itemsTotal > 0 ? Math.min(1, itemsDone / itemsTotal) : 0;
}
