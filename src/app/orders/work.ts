import type {Operation, OperationResult, WorkContext} from '../../ops/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import type {OpenOptions} from '../places/workplace.ts';
import type {WorkOrder} from './work-order.ts';

/** What an order is run with. The vault is the one of the order's place, open. */
export type Work = Pick<WorkContext, 'signal' | 'progress'> & {
  deps: Deps;
  operation: Operation;
  vault: Vault;
  /** How to open another vault for this order. */
  open: OpenOptions;
  nowMicros: () => number;
  /** To be called before one call that may block this thread for many seconds. */
  blocks: () => void;
  /** Keeps a sentence for the user in the result and in the log. */
  notice: (text: string) => void;
  /** Logs the requests that the vault has sent. */
  logTraffic: (vault: Vault) => void;
};

export type OrderKind = WorkOrder['do'];
export type OrderOf<K extends OrderKind> = Extract<WorkOrder, {do: K}>;

export type Run<K extends OrderKind> = (work: Work, order: OrderOf<K>) => Promise<OperationResult>;
