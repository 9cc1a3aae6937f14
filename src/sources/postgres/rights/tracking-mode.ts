import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';

/**
 * How changes are found. `triggers`: by logs in the source, and nothing else will do. `scan`: nothing is written to the
 * source, and each backup reads. `auto`: by triggers wherever the server can be written to.
 */
export type TrackingMode = 'auto' | 'triggers' | 'scan';

/**
 * Why no changes can be tracked in the database, whatever the table; the clause of a sentence.
 * @throws BkpError `PRECONDITION` if `triggers` were demanded and cannot be
 */
export function whyUntracked({facts}: Connection, mode: TrackingMode): string | undefined {
  if (mode === 'scan') return 'the source has tracking=scan, with which bkp only reads it';
  if (!facts.inRecovery) return undefined;
  const why = `${facts.place} is a standby: nothing can be tracked there`;
  if (mode === 'auto') return why;
  throw new BkpError('PRECONDITION', why, {
    cause: 'the source has tracking=triggers',
    next: 'name the primary, or set tracking=scan in the source, which takes full backups',
  });
}
