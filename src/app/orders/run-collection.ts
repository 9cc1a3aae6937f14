import {
  asFull,
  cleanUp,
  copyCollection,
  keepReplaced,
  needsFull,
  restoreBackup,
  takeBackup,
  verifyBackups,
  whyFull,
} from '../../collections/index.ts';
import {BkpError} from '../../errors/index.ts';
import {operationId} from '../../ops/index.ts';
import type {TableSource} from '../../sources/index.ts';
import {mendKeyCopies} from '../keys/mend.ts';
import {withSource} from '../places/source-places.ts';
import {openVaultAt} from '../places/workplace.ts';
import {withHealing} from './healing.ts';
import {readersIn} from './readers.ts';
import {startRetention} from './start.ts';
import type {OrderOf, Run, Work} from './work.ts';

export const backUpCollection: Run<'backup'> = async (work, order) => {
  if (order.fullInstead !== undefined) work.notice(fullInstead(order.fullInstead));
  const {backup, beyondKept, ...figures} = await withSource(work.deps, order.place, (source) =>
    takeOrdered(work, source, order),
  );
  if (beyondKept > 0) await startCleanupOfOld(work, order);
  return {...figures, backup: `${order.collection}/${backup}`};
};

/** Only the snapshot shows whether the log of changes is complete and the schemas are the same. */
async function takeOrdered(work: Work, source: TableSource, order: OrderOf<'backup'>) {
  const request = {...order, operation: operationId(work.operation)};
  // Before a lease is held, which would be lost if the look itself took minutes.
  if (await source.mayBlock?.(order.type)) work.blocks();
  try {
    if (order.type === 'full') await keepReplaced({...work, source}, order.collection);
    return await takeBackup({...work, source}, request);
  } catch (error) {
    if (!order.orFull || !(error instanceof BkpError && needsFull(error.code))) throw error;
    work.notice(fullInstead(whyFull(error)));
    if (await source.mayBlock?.('full')) work.blocks();
    await keepReplaced({...work, source}, order.collection);
    return takeBackup({...work, source}, {...request, type: 'full', name: asFull(order.name)});
  }
}

const fullInstead = (why: string) => `a full backup was taken instead of an increment: ${why}`;

/** The cleanup is an operation of its own: if it fails, the backup does not look failed. */
async function startCleanupOfOld({deps, operation, notice}: Work, order: OrderOf<'backup'>): Promise<void> {
  try {
    await startRetention(deps, order, operation);
  } catch (error) {
    notice(`older backups stay for now: the cleanup was not started: ${(error as Error).message}`);
  }
}

export const restoreCollection: Run<'restore'> = async (work, order) => {
  const {backup, rows, logicalBytes, merged, missing} = await withSource(work.deps, order.place, (source) =>
    restoreBackup({...work, source}, order),
  );
  if (order.dryRun) work.notice('this was a dry run: no row was changed');
  return {
    ...{backup: `${order.collection}/${backup}`, logicalBytes},
    ...(order.dryRun ? {} : {rows}),
    ...(merged === undefined ? {} : {merged}),
    ...(missing === undefined ? {} : {missing}),
  };
};

export const verifyCollection: Run<'verify'> = async (work, order) => {
  await mendKeyCopies(work, order.place);
  const {backups: _, ...figures} = await withHealing(work, order.heal, (heal) => verifyBackups({...work, heal}, order));
  return {...backupIn(order), ...figures};
};

export const copyCollectionOrder: Run<'copy'> = async ({deps, vault, open, logTraffic, ...tools}, order) => {
  // The statement made the vault, or decided that this one may be copied to.
  const to = await openVaultAt(deps, order.to, {...open, create: false});
  try {
    const {logicalBytes, storedBytes} = await copyCollection(
      {...tools, from: vault, to},
      {...order, storage: order.to.storage, operation: operationId(tools.operation)},
    );
    return {...backupIn(order), logicalBytes, storedBytes};
  } finally {
    to.close();
    logTraffic(to);
  }
};

/** Absent when the order is for all backups. */
const backupIn = ({collection, backup}: OrderOf<'verify' | 'copy'>) =>
  backup === undefined ? {} : {backup: `${collection}/${backup}`};

export const cleanUpStore: Run<'cleanup'> = async (work, {collection, drop, place}) => {
  const wanted = collection && {collection, readerOf: await readersIn(work.deps, {collection, vault: place.vault})};
  const {freedBytes} = await cleanUp(
    work,
    operationId(work.operation),
    wanted === undefined || wanted === '' ? undefined : drop === undefined ? wanted : {...wanted, drop},
  );
  return {freedBytes};
};
