import {BkpError, unreachable} from '../../errors/index.ts';
import type {Statement} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import {checkpoint} from './checkpoints.ts';
import {backupStatement, copyStatement, verifyStatement} from './collection-backups.ts';
import {restoreStatement} from './collection-restore.ts';
import {alterStatement, createStatement, dropStatement, showBackups, showCollections} from './collections.ts';
import {restoreDatabaseStatement} from './database-restore.ts';
import {abortBackup, backupDatabase, verifyDatabase} from './databases.ts';
import {dropBackupStatement, dropDatabaseBackupStatement} from './drops.ts';
import {pinDatabase, pinStatement, unpinDatabase, unpinStatement} from './pins.ts';
import type {ExecuteOptions, StatementResult} from './result.ts';
import {select} from './selects.ts';

/** Does what can be done immediately and starts an operation for the rest. */
export async function execute(
  deps: Deps,
  statement: Statement,
  options: ExecuteOptions = {},
): Promise<StatementResult> {
  // A SELECT changes nothing, so it also works where backup.enabled is false.
  if (statement.kind === 'select') return select(deps, statement);
  const {enabled} = await deps.settings();
  if (!enabled) {
    throw new BkpError('PRECONDITION', 'Backup collections are disabled', {
      cause: 'backup.enabled is false',
      next: 'bkp config set backup.enabled true',
    });
  }
  const dismissWorker = kindsOfWork.has(statement.kind) ? deps.prepareWorker?.() : undefined;
  try {
    return await run(deps, statement, options);
  } finally {
    dismissWorker?.();
  }
}

/** These start an operation, unless they are refused. */
const kindsOfWork: ReadonlySet<Statement['kind']> = new Set([
  'backup',
  'restore',
  'verify',
  'copy',
  'backup-database',
  'restore-database',
  'verify-database',
]);

async function run(
  deps: Deps,
  statement: Exclude<Statement, {kind: 'select'}>,
  options: ExecuteOptions,
): Promise<StatementResult> {
  switch (statement.kind) {
    case 'create-collection':
      return createStatement(deps, statement);
    case 'alter-collection':
      return alterStatement(deps, statement);
    case 'drop-collection':
      return dropStatement(deps, statement);
    case 'drop-backup':
      return dropBackupStatement(deps, statement);
    case 'drop-database-backup':
      return dropDatabaseBackupStatement(deps, statement);
    case 'pin':
      return pinStatement(deps, statement);
    case 'unpin':
      return unpinStatement(deps, statement);
    case 'pin-database':
      return pinDatabase(deps, statement);
    case 'unpin-database':
      return unpinDatabase(deps, statement);
    case 'show-collections':
      return showCollections(deps);
    case 'show-backups':
      return showBackups(deps, statement);
    case 'backup':
      return backupStatement(deps, statement, options);
    case 'restore':
      return restoreStatement(deps, statement);
    case 'verify':
      return verifyStatement(deps, statement);
    case 'copy':
      return copyStatement(deps, statement);
    case 'backup-database':
      return backupDatabase(deps, statement, options);
    case 'backup-abort':
      return abortBackup(deps);
    case 'restore-database':
      return restoreDatabaseStatement(deps, statement);
    case 'verify-database':
      return verifyDatabase(deps, statement);
    case 'checkpoint':
      return checkpoint(deps, statement);
    default:
      return unreachable(statement);
  }
}
