import {
  applyRetention,
  type DatabaseBackupName,
  findDatabaseBackup,
  listDatabaseBackups,
  planDatabaseRetention,
  restoreDatabase,
  takeDatabaseBackup,
  verifyDatabaseBackups,
} from '../../database/index.ts';
import type {OperationResult, WorkContext} from '../../ops/index.ts';
import {type DatabaseMoment, openFileTarget, type TargetWish} from '../../sources/index.ts';
import type {Vault, VerifyLevel} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {withFileSource} from '../places/source-places.ts';
import type {Workplace} from '../places/workplace.ts';

/** What a worker is to do with a whole database. */
export type DatabaseOrder = {
  place: Workplace;
} /** `adopt`: the instance to go on with, wherever its backups were taken. */ & (
  | {do: 'dbbackup'; name: DatabaseBackupName; keepLatest: number; adopt?: string}
  | {do: 'dbrestore'; request: DatabaseRestoreOrder; product: DatabaseMoment['product']}
  | {do: 'dbverify'; level: VerifyLevel; instance?: string; backup?: DatabaseBackupName}
);

export type DatabaseRestoreOrder = {
  instance: string;
  at: number;
  tables?: readonly string[];
  optional?: boolean;
  target: string;
};

type Tools = Pick<WorkContext, 'signal' | 'progress'> & {
  nowMicros: () => number;
  notice: (text: string) => void;
  vault: Vault;
  deps: Pick<Deps, 'settings'>;
};

export const targetOf = ({target, tables, optional}: DatabaseRestoreOrder): TargetWish => ({
  place: target,
  ...(tables === undefined ? {} : {tables}),
  ...(optional === undefined ? {} : {withConf: optional}),
});

export async function carryOutDatabaseOrder(tools: Tools, order: DatabaseOrder, id: string): Promise<OperationResult> {
  switch (order.do) {
    case 'dbbackup':
      return backUp(tools, order, id);
    case 'dbrestore': {
      const {request, product} = order;
      const target = await openFileTarget(product, targetOf(request));
      // No plan of its own: that would read the list of files once more.
      const {body} = await findDatabaseBackup(tools.vault, request);
      const {tables, optional = false} = request;
      const chosen = {
        instance: body.instance,
        backup: body.backup,
        optional,
        ...(tables === undefined ? {} : {tables}),
      };
      const {logicalBytes} = await restoreDatabase({...tools, target}, chosen);
      return {logicalBytes};
    }
    case 'dbverify': {
      const {logicalBytes} = await verifyDatabaseBackups(tools, order);
      return {logicalBytes};
    }
  }
}

/** What comes after a good backup does not undo it: a cleanup that failed is told beside the success. */
async function backUp(
  tools: Tools,
  {place, name, keepLatest, adopt}: DatabaseOrder & {do: 'dbbackup'},
  id: string,
): Promise<OperationResult> {
  // Differences cost a read of the store for each changed block: next to nothing from a disk, a request from a server.
  const differences = place.store.kind === 'directory';
  const {
    instance,
    backup: _,
    ...figures
  } = await withFileSource(tools.deps, place, (source) =>
    takeDatabaseBackup({...tools, source}, {name, operation: id, differences, ...(adopt === undefined ? {} : {adopt})}),
  );
  const {logicalBytes, storedBytes, files} = figures;
  const result: OperationResult = {instance, files, logicalBytes, storedBytes};
  try {
    const plan = planDatabaseRetention(await listDatabaseBackups(tools.vault.uncached(), {instance}), {keepLatest});
    if (!plan.verdicts.some(({goes}) => goes)) return result;
    tools.progress({phase: 'Cleanup', bytesDone: logicalBytes, itemsDone: files, itemsTotal: files});
    const {freedBytes} = await applyRetention(tools, plan, id);
    return {...result, freedBytes, cleanup: 'complete'};
  } catch (error) {
    const message = (error as Error).message;
    tools.notice(`older backups were not removed: ${message}`);
    return {...result, cleanup: 'failed', cleanupError: message};
  }
}
