import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';

/**
 * How changes are found. `triggers`: by logs in the source, and nothing else will do. `scan`: nothing is written to the
 * source, and each increment reads what may have changed. `auto`: by triggers wherever the server can be written to.
 */
export type TrackingMode = 'auto' | 'triggers' | 'scan';

/**
 * Why changes are found by reading; a clause of a sentence. Absent: triggers log them.
 * @throws BkpError `PRECONDITION` if `triggers` were demanded and cannot be
 */
export function whyScanned({facts}: Connection, mode: TrackingMode): string | undefined {
  if (mode === 'scan') return 'the source has tracking=scan';
  if (!facts.inRecovery) return undefined;
  const why = `${facts.place} is a standby`;
  if (mode === 'auto') return why;
  throw new BkpError('PRECONDITION', `${why}: it cannot have triggers that log changes`, {
    cause: 'the source has tracking=triggers',
    next: 'name the primary, or set tracking=scan in the source, which finds changes by reading',
  });
}
