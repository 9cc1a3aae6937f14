import type {Home, StoreAddress} from '../../config/index.ts';
import type {Limits, OperationNumber, Progress} from '../../ops/index.ts';
import type {RowState} from '../../vault/index.ts';

/** What a keeper's thread is started with. */
export type KeeperStart = {number: OperationNumber; home: Home; entryFile: string};

/** What the keeper is asked to do, and to answer. */
export type KeeperCall =
  /** Renew the row from now on. */
  | {do: 'keep'; store: StoreAddress; state: RowState}
  | {do: 'state'; lease: string; young: boolean}
  | {do: 'stop'; lease: string}
  /** Write the last figures; no heartbeat after that. */
  | {do: 'end'; progress: Progress};

export type ToKeeper =
  | {kind: 'progress'; progress: Progress}
  /** The work's thread handles events. */
  | {kind: 'here'}
  | {kind: 'call'; id: number; call: KeeperCall};

export type FromKeeper =
  /** Calls are answered from now on. */
  | {kind: 'up'}
  | {kind: 'cancel'}
  | {kind: 'limits'; limits: Limits}
  /** Answer with `here`. */
  | {kind: 'ask'}
  /** `state`: of the row, for calls about one. */
  | {kind: 'answer'; id: number; state?: RowState}
  | {kind: 'refusal'; id: number; error: unknown};
