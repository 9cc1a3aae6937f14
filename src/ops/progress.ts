import type {Progress} from './operation.ts';

/** Progress with what a person wants to know of it. */
export type MeasuredProgress = Progress & {bytesPerSecond?: number; secondsLeft?: number};

/** 100 is for what is done: the commit after the last byte can take its time, or fail. */
const mostBeforeDone = 99.99;
/** Rates are averages over about this time: a stall shows soon, a single slow segment does not make the figure jump. */
const smoothOverMs = 5_000;

/** @returns 0 … 99.99: of the bytes where their total is known, else of the items, else 0. */
export function percentOf(progress: Progress): number {
  const share =
    shareOf(progress.bytesDone, progress.bytesTotal) ?? shareOf(progress.itemsDone, progress.itemsTotal) ?? 0;
  return Math.min(mostBeforeDone, Math.max(0, share * 100));
}

function shareOf(done: number, total: number | undefined): number | undefined {
  return total === undefined || total <= 0 ? undefined : done / total;
}

/**
 * @returns a function that adds rate and time left to the progress it is given, from this and the earlier calls.
 *   `atMs` is of a clock that never goes back.
 */
export function rateMeter(): (progress: Progress, atMs: number) => MeasuredProgress {
  let before: {phase: string; bytesDone: number; atMs: number} | undefined;
  let rate: number | undefined;
  return (progress, atMs) => {
    // Each phase counts for itself, at its own speed.
    if (before === undefined || before.phase !== progress.phase || progress.bytesDone < before.bytesDone) {
      before = {phase: progress.phase, bytesDone: progress.bytesDone, atMs};
      rate = undefined;
      return progress;
    }
    const passedMs = atMs - before.atMs;
    if (passedMs > 0) {
      const now = ((progress.bytesDone - before.bytesDone) / passedMs) * 1000;
      // Weighing by time makes the average the same however often this is called.
      const weight = rate === undefined ? 1 : 1 - Math.exp(-passedMs / smoothOverMs);
      rate = (rate ?? 0) * (1 - weight) + now * weight;
      before = {phase: progress.phase, bytesDone: progress.bytesDone, atMs};
    }
    return withRate(progress, rate);
  };
}

function withRate(progress: Progress, rate: number | undefined): MeasuredProgress {
  if (rate === undefined || rate < 1) return progress;
  const bytesPerSecond = Math.round(rate);
  if (progress.bytesTotal === undefined) return {...progress, bytesPerSecond};
  const secondsLeft = Math.max(0, Math.ceil((progress.bytesTotal - progress.bytesDone) / rate));
  return {...progress, bytesPerSecond, secondsLeft};
}
