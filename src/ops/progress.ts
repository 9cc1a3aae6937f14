import type {Progress} from './operation.ts';

/** Progress with rate and remaining time. */
export type MeasuredProgress = Progress & {bytesPerSecond?: number; secondsLeft?: number};

/** 100 means done: the commit after the last byte takes time, and can fail. */
const mostBeforeDone = 99.99;
/** Rates are averages over about this time: a stall shows soon, and a single slow segment hardly changes the figure. */
const smoothOverMs = 5_000;
/** An estimate reaches at most this many times as far ahead as the time that was measured. */
const mostGuessed = 60;

/**
 * @returns 0 … 99.99: of the whole work if that is known, otherwise of the bytes if their total is known, otherwise
 *   of the items, otherwise 0
 */
export function percentOf(progress: Progress): number {
  const share =
    progress.whole ??
    shareOf(progress.bytesDone, progress.bytesTotal) ??
    shareOf(progress.itemsDone, progress.itemsTotal) ??
    0;
  return Math.min(mostBeforeDone, Math.max(0, share * 100));
}

function shareOf(done: number, total: number | undefined): number | undefined {
  return total === undefined || total <= 0 ? undefined : done / total;
}

/**
 * Totals are set when the work is planned, and some are estimates. Removes a total that was exceeded, so that no figure
 * is larger than its total.
 */
export function believable<P extends Progress>(progress: P): P {
  const {bytesDone, bytesTotal = bytesDone, itemsDone, itemsTotal = itemsDone} = progress;
  const shown = {...progress};
  if (bytesDone > bytesTotal) delete shown.bytesTotal;
  if (itemsDone > itemsTotal) delete shown.itemsTotal;
  return shown;
}

/**
 * @returns a function that adds rate and remaining time to a progress, from this call and the earlier ones. `atMs` is
 *   monotonic time.
 */
export function rateMeter(): (progress: Progress, atMs: number) => MeasuredProgress {
  const left = wholeMeter();
  let first: {bytesDone: number; atMs: number} = {bytesDone: 0, atMs: 0};
  let before: {phase: string; bytesDone: number; atMs: number} | undefined;
  let rate: number | undefined;
  return (given, atMs) => {
    const progress: MeasuredProgress = believable(given);
    const secondsLeft = left(given, atMs);
    if (secondsLeft !== undefined) progress.secondsLeft = secondsLeft;
    // Each phase has its own speed.
    if (before === undefined || before.phase !== progress.phase || progress.bytesDone < before.bytesDone) {
      before = {phase: progress.phase, bytesDone: progress.bytesDone, atMs};
      first = before;
      rate = undefined;
      return progress;
    }
    const passedMs = atMs - before.atMs;
    if (passedMs > 0) {
      const now = ((progress.bytesDone - before.bytesDone) / passedMs) * 1000;
      // Weighted by time, so that the average does not depend on how often this is called.
      const weight = rate === undefined ? 1 : 1 - Math.exp(-passedMs / smoothOverMs);
      rate = (rate ?? 0) * (1 - weight) + now * weight;
      before = {phase: progress.phase, bytesDone: progress.bytesDone, atMs};
    }
    const phase = {bytes: progress.bytesDone - first.bytesDone, seconds: (atMs - first.atMs) / 1000};
    return withRate(progress, rate, phase);
  };
}

/**
 * Time left of work with phases of different speeds, from the time that the part so far took. While one of them shows
 * no progress, the time counts down; it is unknown when it is over.
 */
function wholeMeter(): (progress: Progress, atMs: number) => number | undefined {
  let began: {whole: number; atMs: number} | undefined;
  let latest = {whole: 0, atMs: 0};
  return ({whole}, atMs) => {
    if (whole === undefined) return undefined;
    began ??= {whole, atMs};
    if (whole !== latest.whole) latest = {whole, atMs};
    const seconds = (latest.atMs - began.atMs) / 1000;
    const done = latest.whole - began.whole;
    if (done <= 0 || seconds <= 0) return undefined;
    const left = Math.ceil((seconds * (1 - latest.whole)) / done - (atMs - latest.atMs) / 1000);
    return left > 0 && left <= mostGuessed * seconds ? left : undefined;
  };
}

function withRate(
  progress: MeasuredProgress,
  rate: number | undefined,
  phase: {bytes: number; seconds: number},
): MeasuredProgress {
  if (rate === undefined || rate < 1) return progress;
  const secondsLeft = progress.whole === undefined ? secondsLeftOf(progress, rate, phase) : progress.secondsLeft;
  return {...progress, bytesPerSecond: Math.round(rate), ...(secondsLeft === undefined ? {} : {secondsLeft})};
}

/**
 * An estimate from the current rate and the rate of the whole phase, so that neither a slow start nor a stall shows as
 * days.
 * @returns undefined while too little was measured: an estimate of one hour needs one minute
 */
function secondsLeftOf(
  {bytesTotal, bytesDone}: Progress,
  rate: number,
  phase: {bytes: number; seconds: number},
): number | undefined {
  if (bytesTotal === undefined) return undefined;
  const average = phase.bytes / phase.seconds;
  const left = Math.ceil((bytesTotal - bytesDone) / ((rate + average) / 2));
  return left <= mostGuessed * phase.seconds ? left : undefined;
}
