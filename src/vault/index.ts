export {type Clock, systemClock} from './clock.ts';
export {damaged, isDamage} from './damage.ts';
export {chunkId} from './hash.ts';
export {type Host, thisHost} from './host.ts';
export {headerKey} from './key.ts';
export {type KeepRow, LeaseRow, type RenewedRow, type RowDeps, type RowState, renewEveryMs} from './lease-row.ts';
export {encodeName} from './name.ts';
export type * from './types.ts';
export {openVault, type VaultOptions} from './vault.ts';
