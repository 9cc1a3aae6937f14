import {
  planRestoreInto,
  type RestoreWish,
  restoreDatabaseInto,
  versionNotice,
} from '../../app/statements/database-restore.ts';
import {backupMicros, type DatabaseRestorePlan} from '../../database/index.ts';
import {ExitStatus} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {report} from '../sql/run.ts';
import {printedTable, type Table} from '../tables.ts';
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
  const {place, plan} = await planRestoreInto(own, wish, {fetchBytes: true});
  const notice = await versionNotice(own, place, plan.database);
  if (notice !== undefined) deps.warn(notice);
  deps.stdout.write(printedTable(planRows(plan), format));
  const isRoom = plan.freeBytes === undefined || plan.freeBytes >= plan.neededBytes;
  deps.exitWith(plan.inTheWay === undefined && isRoom ? ExitStatus.done : ExitStatus.refused);
}

/** One row: what a restore would do, and what blocks it. */
function planRows(plan: DatabaseRestorePlan): Table {
  const cells = {
    instance: plan.instance,
    backup_timestamp: microsText(backupMicros(plan.backup)),
    moment: microsText(plan.takenAtMicros),
    product: `${plan.database.product} ${plan.database.version}`,
    tables: plan.database.tables.length,
    files: plan.files,
    restore_bytes: plan.logicalBytes,
    fetch_bytes: plan.fetchBytes ?? null,
    needed_bytes: plan.neededBytes,
    free_bytes: plan.freeBytes ?? null,
    in_the_way: plan.inTheWay ?? null,
  };
  return {
    columns: Object.keys(cells).map((name) => (name.endsWith('_bytes') ? {name, bytes: true as const} : {name})),
    rows: [Object.values(cells)],
  };
}
