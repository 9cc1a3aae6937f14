import type {OpenedSlot, Secret} from '../vault/index.ts';

/** What a process knows of encrypted vaults. It is never written anywhere; a worker gets its `slots` through a pipe. */
export type KeyChain = {
  /** By the id of the vault: what opens its rings, also newer ones. */
  readonly slots: Map<string, OpenedSlot>;
  /** What was typed on the terminal, so that it is asked for once. */
  typed?: Secret;
};
