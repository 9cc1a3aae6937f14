export {type Clock, systemClock} from '../lib/clock.ts';
export {isStillListed} from './care/collector.ts';
export {endDecoding} from './codec/group-decoder.ts';
export {sealedStore} from './crypto/sealed-store.ts';
export type {VaultKeys} from './crypto/vault-keys.ts';
export {damaged, isDamage, unlessDamaged} from './format/damage.ts';
export {chunkId} from './format/hash.ts';
export {type Header, readHeader} from './format/header.ts';
export {collectionsPrefix, headerKey, vaultLayout} from './format/key.ts';
export {directoryPackBytes, maxChunkBytes} from './format/limits.ts';
export {encodeName} from './format/name.ts';
export {repairHeader} from './format/repair-header.ts';
export {
  changeKeys,
  createKeys,
  fingerprintOf,
  type KeyChange,
  type KeysChanged,
  mendKeys,
  type NewSlot,
  removeUnusedRings,
  unusedRings,
} from './keys/change-keys.ts';
export {type ExportedKeys, exportKeys, importKeys, parseExportedKeys, storeOf} from './keys/exported.ts';
export {isUndecided} from './keys/key-objects.ts';
export {mostSlots, type Ring, type SlotInfo} from './keys/ring.ts';
export {
  isKeyCode,
  type KeyKeeper,
  newKey,
  parseSecret,
  type Secret,
  type SlotName,
  type Wrapped,
} from './keys/secret.ts';
export {type OpenedSlot, openedSlots} from './keys/slot.ts';
export {
  isWithoutKeys,
  opensSlot,
  openWithSlot,
  type RingPin,
  secretMissing,
  slotOpenedBy,
  type Unlocked,
  unlock,
} from './keys/unlock.ts';
export {type Host, thisHost} from './lease/host.ts';
export {type KeepRow, LeaseRow, type RenewedRow, type RowDeps, type RowState, renewEveryMs} from './lease/row.ts';
export {IdList} from './read/id-list.ts';
export type * from './types.ts';
export {locksObjects, openVault, type VaultEncryption, type VaultOptions} from './vault.ts';
