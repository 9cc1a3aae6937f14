import type {Catalogue} from '../../query/index.ts';
import type {Deps} from '../deps.ts';
import {openBackupTables} from '../looking/backup-tables.ts';
import {collectionBackupsView, collectionsView} from './collections.ts';
import {backupInstanceName, backupsView, checkpointStatusView, reloadConfig} from './databases.ts';
import {operationsView} from './operations.ts';
import {verificationsView} from './verifications.ts';

/**
 * Everything that a SELECT can read; docs/sql.md describes every column. An entry opens what it needs (a vault,
 * a server) only when the statement names it.
 */
export function selectable(deps: Deps): Catalogue {
  return {
    backups: (tables) => openBackupTables(deps, tables),
    views: {
      operations: operationsView(deps),
      collections: collectionsView(deps),
      collection_backups: collectionBackupsView(deps),
      verifications: verificationsView(deps),
      backups: backupsView(deps),
      checkpoint_status: checkpointStatusView(deps),
    },
    scalars: {
      backup_instance_name: backupInstanceName(deps),
      reload_config: reloadConfig(deps),
    },
  };
}
