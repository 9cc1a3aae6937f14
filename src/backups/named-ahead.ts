import type {WorkTools} from './tools.ts';

/** Clocks may differ by this much before a notice is given. */
const skewMicros = 5 * 60e6;

/**
 * Warns if the newest backup is named after a time in the future, because the next name has to follow it.
 * @param newest the newest taken name, and the time in it in microseconds since 1970
 */
export function noticeIfNamedAhead(
  {notice, nowMicros}: Pick<WorkTools, 'notice'> & {nowMicros: () => number},
  newest: {name: string; micros: number} | undefined,
  name: string,
): void {
  if (newest === undefined || newest.micros <= nowMicros() + skewMicros) return;
  notice(
    `the newest backup, ${newest.name}, is named after a time in the future: the clock that named it was ahead, or ` +
      `this machine's clock is behind. This backup is named ${name}, to follow it; the time recorded in it is that ` +
      'of this clock',
  );
}
