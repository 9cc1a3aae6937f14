import type {OperationResult, WorkContext} from '../../ops/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import type {Keeper} from '../keeper/keeper.ts';
import {openVaultAt} from '../places/workplace.ts';
import {
  backUpCollection,
  cleanUpStore,
  copyCollectionOrder,
  restoreCollection,
  verifyCollection,
} from './run-collection.ts';
import {backUpDatabase, dropDatabase, restoreDatabaseOrder, verifyDatabase} from './run-database.ts';
import {drillDatabaseOrder} from './run-database-drill.ts';
import {compareCollection, drillCollection} from './run-drill.ts';
import {reencryptVault} from './run-reencrypt.ts';
import {trafficText} from './traffic.ts';
import type {OrderKind, OrderOf, Run, Work} from './work.ts';
import {requireOrder} from './work-order.ts';

/** Does not compile when a kind of order has nothing that runs it. */
const runs: {[K in OrderKind]: Run<K>} = {
  backup: backUpCollection,
  restore: restoreCollection,
  verify: verifyCollection,
  drill: drillCollection,
  compare: compareCollection,
  copy: copyCollectionOrder,
  cleanup: cleanUpStore,
  reencrypt: reencryptVault,
  dbbackup: backUpDatabase,
  dbrestore: restoreDatabaseOrder,
  dbverify: verifyDatabase,
  dbdrill: drillDatabaseOrder,
  dbdrop: dropDatabase,
};

function runOrder<K extends OrderKind>(work: Work, order: OrderOf<K> & {do: K}): Promise<OperationResult> {
  return runs[order.do](work, order);
}

/**
 * Runs the order of an operation. Vault and source are always closed again.
 * @param keeper renews the leases; default: this thread does
 */
export async function carryOut(deps: Deps, context: WorkContext, keeper?: Keeper): Promise<OperationResult> {
  const {operation, signal, progress, limits, log} = context;
  const order = requireOrder(operation);
  const notices: string[] = [];
  const open = {create: false, signal, limits, ...(keeper === undefined ? {} : {keeper})};
  const vault = await openVaultAt(deps, order.place, {...open, isSource: order.do === 'copy'});
  const logTraffic = (of: Vault) => {
    const traffic = of.traffic();
    if (traffic !== undefined) log(`${of.location}: ${trafficText(traffic)}`);
  };
  const notice = (text: string) => {
    notices.push(text);
    log(text);
  };
  try {
    const {nowMicros} = deps;
    const blocks = () => keeper?.start();
    const work: Work = {deps, operation, vault, open, blocks, nowMicros, signal, progress, notice, logTraffic};
    const result = await runOrder(work, order);
    return notices.length === 0 ? result : {...result, notices};
  } finally {
    vault.close();
    logTraffic(vault);
  }
}
