import type {BackupSummary, RestorePlan} from '../../collections/index.ts';
import type {DatabaseRestorePlan} from '../../database/index.ts';
import type {Operation} from '../../ops/index.ts';
import type {Answer as Selection} from '../../query/index.ts';
import type {Statement} from '../../sql/index.ts';
import type {StoredCollection} from '../places/all-collections.ts';
import type {TimeEstimate} from './restore-time.ts';

/** What a statement returns: values, or the operation that now runs, or only its effect. */
export type StatementResult = {
  rows?: StatementRows;
  operation?: Operation;
  /** Sentences for the user, beside the result. */
  notices: readonly string[];
};

/** Rows as values; `aborted` with the backup's timestamp, without one when no backup ran. */
export type StatementRows =
  | {kind: 'collections'; collections: readonly StoredCollection[]}
  | {kind: 'backups'; backups: readonly BackupSummary[]}
  | {kind: 'pin'; backup: string; until?: string | undefined; reason?: string | undefined}
  /** What a dry run would remove, in the order of removal; `freedBytes` is absent if nothing could be freed. */
  | {kind: 'removal'; rows: readonly {backup: string; freedBytes?: number | undefined}[]}
  | {kind: 'selection'; selection: Selection}
  | {kind: 'restore-plan'; plan: RestorePlan; estimate?: TimeEstimate}
  | {kind: 'database-restore-plan'; plan: DatabaseRestorePlan}
  | {kind: 'abort'; status: 'aborted' | 'not running'; backup?: string | undefined};

export type ExecuteOptions = {
  /**
   * A refused BACKUP is not recorded in the journal if one was recorded since this time, in milliseconds since 1970:
   * the same run was refused before.
   */
  refusedSinceMs?: number | undefined;
};

export type StatementOf<K extends Statement['kind']> = Extract<Statement, {kind: K}>;

/** A notice that may be absent. */
export const noticesOf = (...notices: readonly (string | undefined)[]) =>
  notices.filter((notice) => notice !== undefined);
