import type {WorkTools} from './tools.ts';

/** How far ahead of this machine's clock another one's may be without a word. */
const skewMicros = 5 * 60e6;

/**
 * Reports a backup whose name has to follow one of the future: a clock that was ahead gave that name.
 * @param newest the newest name that is taken, and the moment in it, microseconds since 1970
 */
export function tellIfNamedAhead(
  {notice, nowMicros}: Pick<WorkTools, 'notice'> & {nowMicros: () => number},
  newest: {name: string; micros: number} | undefined,
  name: string,
): void {
  if (newest === undefined || newest.micros <= nowMicros() + skewMicros) return;
  notice(
    `the newest backup, ${newest.name}, is named after a moment that is yet to come: the clock that named it was ahead, or ` +
      `this machine's is behind. This backup is named ${name}, to come after it; the moment that is kept with it is that of ` +
      'this clock',
  );
}
