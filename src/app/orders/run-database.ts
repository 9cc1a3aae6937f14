import {requireUnread} from '../../backups/index.ts';
import {
  applyRetention,
  dropDatabaseBackup,
  findDatabaseBackup,
  listDatabaseBackups,
  planDatabaseRetention,
  restoreDatabase,
  restoreIntactTables,
  takeDatabaseBackup,
  verifyDatabaseBackups,
} from '../../database/index.ts';
import {type OperationResult, operationId} from '../../ops/index.ts';
import {openFileTarget} from '../../sources/index.ts';
import {mendKeyCopies} from '../keys/mend.ts';
import {withFileSource} from '../places/source-places.ts';
import {withHealing} from './healing.ts';
import {databaseReaderIn} from './readers.ts';
import type {Run} from './work.ts';
import {targetOf} from './work-order.ts';

export const restoreDatabaseOrder: Run<'dbrestore'> = async (work, {request, product}) => {
  // Without planning again, which would read the list of files a second time.
  const {body} = await findDatabaseBackup(work.vault, request);
  const {tables, optional = false} = request;
  const chosen = {instance: body.instance, backup: body.backup, optional, ...(tables === undefined ? {} : {tables})};
  const openTarget = (only: readonly string[] | undefined) =>
    openFileTarget(product, {...targetOf(request), ...(only === undefined ? {} : {tables: only})});
  if (!request.partial) {
    const {logicalBytes} = await restoreDatabase({...work, target: await openTarget(tables)}, chosen);
    return {logicalBytes};
  }
  const {logicalBytes, missing} = await restoreIntactTables({...work, openTarget}, chosen);
  return {logicalBytes, ...(missing === undefined ? {} : {missing})};
};

export const verifyDatabase: Run<'dbverify'> = async (work, order) => {
  await mendKeyCopies(work, order.place);
  const {backups: _, ...figures} = await withHealing(work, order.heal, (heal) =>
    verifyDatabaseBackups({...work, heal}, order),
  );
  return figures;
};

/** The operation may have waited: a restore may have begun to read the backup. */
export const dropDatabase: Run<'dbdrop'> = async (work, {instance, backup, place}) => {
  requireUnread(`${instance}/${backup}`, await databaseReaderIn(work.deps, {instance, backup, vault: place.vault}));
  return dropDatabaseBackup(work, {instance, backup}, operationId(work.operation));
};

/** A cleanup that fails does not undo a good backup: the result reports both. */
export const backUpDatabase: Run<'dbbackup'> = async (work, order) => {
  const {place, name, adopt, keepLatest, keep, zone} = order;
  const id = operationId(work.operation);
  // A difference costs one read of the store per changed block: cheap on a disk, a request on a server.
  const differences = place.store.kind === 'directory';
  const {
    instance,
    backup: _,
    ...figures
  } = await withFileSource(work.deps, place, (source) =>
    takeDatabaseBackup({...work, source}, {name, operation: id, differences, ...(adopt === undefined ? {} : {adopt})}),
  );
  const {logicalBytes, storedBytes, files} = figures;
  const result: OperationResult = {instance, files, logicalBytes, storedBytes};
  try {
    const backups = await listDatabaseBackups(work.vault.uncached(), {
      instance,
      verified: keep?.verified !== undefined,
    });
    const rules = {keepLatest, ...(keep === undefined ? {} : {keep}), ...(zone === undefined ? {} : {zone})};
    const plan = planDatabaseRetention(backups, rules, work.nowMicros() / 1000);
    if (!plan.verdicts.some(({goes}) => goes)) return result;
    work.progress({phase: 'Cleanup', bytesDone: logicalBytes, itemsDone: files, itemsTotal: files});
    const {freedBytes} = await applyRetention(work, plan, id);
    return {...result, freedBytes, cleanup: 'complete'};
  } catch (error) {
    const message = (error as Error).message;
    work.notice(`older backups were not removed: ${message}`);
    return {...result, cleanup: 'failed', cleanupError: message};
  }
};
