import {databasePlan, type RestoreWish, restoreDatabaseInto} from '../../app/statements/database-restore.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {report} from '../sql/run.ts';
import {readRestoreFile} from './properties.ts';

export type RestoreOptions = {
  root: string;
  instance?: string;
  timestamp?: string;
  table: readonly string[];
  conf: boolean;
  dryRun: boolean;
  wait: boolean;
  format: RowFormat;
};

export async function runRestore(deps: CommandDeps, options: RestoreOptions): Promise<void> {
  const {root, dryRun, wait, format} = options;
  const file = readRestoreFile(root) ?? {};
  // The file's store counts as BKP_STORE does: a flag still wins.
  const own = file.store === undefined ? deps : await deps.again({store: file.store});
  const instance = options.instance ?? file.instance;
  const timestamp = options.timestamp ?? file.timestamp;
  const wish: RestoreWish = {
    target: root,
    statement: 'bkp restore',
    instance,
    timestamp,
    ...(options.table.length === 0 ? {} : {tables: options.table}),
    ...(options.conf ? {withConf: true} : {}),
  };
  if (!dryRun) {
    await report(deps, await restoreDatabaseInto(own, wish), {wait, format});
    return;
  }
  await report(deps, await databasePlan(own, wish), {wait, format});
}
