import type {Home, StoreAddress} from '../../config/index.ts';
import type {Limits, OperationNumber, Progress} from '../../ops/index.ts';
import type {RowState, VaultKeys} from '../../vault/index.ts';

/** Passed to a keeper's thread at its start. */
export type KeeperStart = {
  number: OperationNumber;
  home: Home;
  entryFile: string;
  /** The priority of the process from its second second on; absent: that of the system. */
  niceness?: number | undefined;
};

/** A call of the keeper's thread; each gets a reply. */
export type KeeperCall =
  /** Renews the row from now on. `keys`: of its vault, if that is encrypted. */
  | {do: 'keep'; store: StoreAddress; state: RowState; keys?: VaultKeys}
  | {do: 'state'; lease: string; young: boolean}
  | {do: 'stop'; lease: string}
  /** Writes the last figures; no heartbeat after that. */
  | {do: 'end'; progress: Progress};

export type ToKeeper =
  | {kind: 'progress'; progress: Progress}
  /** Reply to `ask`: the work's thread handles events. */
  | {kind: 'here'}
  | {kind: 'call'; id: number; call: KeeperCall};

export type FromKeeper =
  /** The thread accepts calls from now on. */
  | {kind: 'up'}
  | {kind: 'cancel'}
  | {kind: 'limits'; limits: Limits}
  /** Requests `here`. */
  | {kind: 'ask'}
  /** `state`: of the row, for a call about one. */
  | {kind: 'reply'; id: number; state?: RowState | undefined}
  | {kind: 'failure'; id: number; error: unknown};
