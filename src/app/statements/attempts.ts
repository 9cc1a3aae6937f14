import {asPlain} from '../../errors/index.ts';
import {isBackupKind} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {openOn} from '../orders/busy.ts';
import {type About, hasHistory, recordRefusal} from '../orders/refused.ts';

/** What the journal shows of an attempt, and since when a refusal of it is known already. */
export type Attempt = Pick<About, 'kind' | 'subject' | 'statement'> & {refusedSinceMs?: number | undefined};

/**
 * Codes of errors that are no attempts: the user left, the journal cannot be written, or an operation records the
 * failure already.
 */
const unrecorded: ReadonlySet<string> = new Set([
  'BAD_NAME',
  'CANCELLED',
  'CONFIG_UNAVAILABLE',
  'INTERRUPTED',
  'JOURNAL_UNAVAILABLE',
  'NEWER_VERSION',
  'WORKER_DEAD',
]);

/**
 * Runs a statement that takes a backup. If it is refused, the journal gets an operation that has failed, and its
 * listeners are notified: a backup that did not even begin is a missing backup too.
 *
 * Statements that cannot be right are checked before this. A name that no collection ever had is a typing mistake as
 * well, and while another backup of the subject runs, that one is the attempt.
 */
export async function attempted<T>(deps: Deps, attempt: Attempt, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (await countsAsAttempt(deps, attempt, asPlain(error).code)) await recordRefusal(deps, attempt, error);
    throw error;
  }
}

async function countsAsAttempt(deps: Deps, {subject}: Attempt, code: string): Promise<boolean> {
  if (unrecorded.has(code)) return false;
  if (code === 'COLLECTION_NOT_FOUND') return hasHistory(deps, subject);
  if (code !== 'BUSY') return true;
  const running = await openOn(deps, subject);
  return running !== undefined && !isBackupKind(running.kind);
}
