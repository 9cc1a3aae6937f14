import {statSync} from 'node:fs';
import {
  type CleanupRetention,
  cleanUp,
  copyCollection,
  restoreBackup,
  takeBackup,
  verifyBackups,
} from '../../collections/index.ts';
import {parseSource} from '../../config/index.ts';
import {formatBytes} from '../../lib/figures.ts';
import {type Operation, type OperationResult, operationId, type WorkContext} from '../../ops/index.ts';
import type {Traffic} from '../../stores/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {type Keeper, muchBytes} from '../keeper/keeper.ts';
import {withFileSource} from '../places/source-places.ts';
import {openVaultAt, requireSource, withSource} from '../places/workplace.ts';
import {carryOutDatabaseOrder} from './database-order.ts';
import {readersIn} from './readers.ts';
import {startRetention} from './start.ts';
import {orderOf, requireOrder, type WorkOrder} from './work-order.ts';

/**
 * Carries an order out. Whatever happens, vault and source are closed again.
 * @param keeper renews the leases; absent: this thread does
 */
export async function carryOut(deps: Deps, context: WorkContext, keeper?: Keeper): Promise<OperationResult> {
  const order = requireOrder(context.operation);
  const notices: string[] = [];
  const tools = {
    nowMicros: deps.nowMicros,
    signal: context.signal,
    progress: context.progress,
    notice: (text: string) => {
      notices.push(text);
      context.log(text);
    },
  };
  const id = operationId(context.operation);
  const open = {
    create: false,
    signal: context.signal,
    limits: context.limits,
    ...(keeper === undefined ? {} : {keeper}),
  };
  const vault = await openVaultAt(deps, order.place, open);
  try {
    const result = await dispatch();
    return notices.length === 0 ? result : {...result, notices};
  } finally {
    vault.close();
    tellTraffic(vault);
  }

  async function dispatch(): Promise<OperationResult> {
    switch (order.do) {
      case 'backup': {
        // The first thing that is asked of a database is to count its rows.
        if (sourceBytes(order.place) >= muchBytes) keeper?.start();
        const {backup, beyondKept, ...figures} = await withSource(order.place, (source) =>
          takeBackup({...tools, vault, source}, {...order, operation: id}),
        );
        if (beyondKept > 0) await removeOldLater(order);
        return {...figures, backup: `${order.collection}/${backup}`};
      }
      case 'restore': {
        const {backup, rows, logicalBytes} = await withSource(order.place, (source) =>
          restoreBackup({...tools, vault, source}, order),
        );
        return {backup: `${order.collection}/${backup}`, rows, logicalBytes};
      }
      case 'verify': {
        const {logicalBytes} = await verifyBackups({...tools, vault}, order);
        return {...(order.backup === undefined ? {} : {backup: `${order.collection}/${order.backup}`}), logicalBytes};
      }
      case 'copy': {
        const to = await openVaultAt(deps, order.to, {...open, create: true});
        try {
          const {logicalBytes, storedBytes} = await copyCollection(
            {...tools, from: vault, to},
            {...order, storage: order.to.storage, operation: id},
          );
          return {
            ...(order.backup === undefined ? {} : {backup: `${order.collection}/${order.backup}`}),
            logicalBytes,
            storedBytes,
          };
        } finally {
          to.close();
          tellTraffic(to);
        }
      }
      case 'dbbackup':
      case 'dbrestore':
      case 'dbverify':
        return carryOutDatabaseOrder({...tools, vault, deps}, order, id);
      case 'cleanup':
        return {freedBytes: (await cleanUp({...tools, vault}, id, await retentionOf(order))).freedBytes};
    }
  }

  /** In an operation of its own: that it fails must not make the backup look like a failure. */
  async function removeOldLater(backup: WorkOrder & {do: 'backup'}): Promise<void> {
    try {
      await startRetention(deps, backup, context.operation);
    } catch (error) {
      tools.notice(`older backups stay for now: the cleanup was not started: ${(error as Error).message}`);
    }
  }

  async function retentionOf({collection, place}: WorkOrder & {do: 'cleanup'}): Promise<CleanupRetention | undefined> {
    if (collection === undefined) return undefined;
    return {collection, readerOf: await readersIn(deps, {collection, vault: place.vault})};
  }

  function tellTraffic(of: Vault): void {
    const traffic = of.traffic();
    if (traffic !== undefined) context.log(`${of.location}: ${trafficText(traffic)}`);
  }
}

/** 0 where that is not one file, or it cannot be looked at: then whoever opens it will tell. */
function sourceBytes(place: Parameters<typeof requireSource>[0]): number {
  const address = parseSource(requireSource(place), '/');
  return address.scheme === 'sqlite' ? (statSync(address.path, {throwIfNoEntry: false})?.size ?? 0) : 0;
}

/** `14 requests (GetObject 3, PutObject 7, …), 4.1 MiB sent, 12.0 KiB received`. */
function trafficText({requests, sentBytes, receivedBytes, lacking = []}: Traffic): string {
  const names = Object.entries(requests).map(([name, count]) => `${name} ${count}`);
  const count = Object.values(requests).reduce((sum, one) => sum + one, 0);
  const without = lacking.length === 0 ? '' : `; this server refused, and bkp does without: ${lacking.join(', ')}`;
  const bytes = `${formatBytes(sentBytes)} sent, ${formatBytes(receivedBytes)} received`;
  return `${count} requests (${names.join(', ')}), ${bytes}${without}`;
}

/**
 * What a worker that died can have left behind outside the vault is removed by the first command that notices.
 * @throws BkpError when the source cannot be reached; what is left is then only a file that takes up space
 */
export async function cleanAfter(deps: Pick<Deps, 'settings'>, operation: Operation): Promise<void> {
  const order = orderOf(operation);
  const {createdAtMicros} = operation;
  if (order?.do === 'dbbackup')
    await withFileSource(deps, order.place, (source) =>
      source.releaseLeftover(createdAtMicros, operationId(operation)),
    );
  if (order?.do === 'restore') {
    await withSource(order.place, async (source) => {
      await source.discardStaging(order.stagingId);
      // This first look at the database rolls back what publishing had begun: the application need not do it.
      await source.identity();
    });
  }
}
