import {setTimeout as delay} from 'node:timers/promises';
import {BkpError} from '../errors/index.ts';
import type {Vault, VaultCollector} from '../vault/index.ts';
import type {WorkTools} from './tools.ts';

/** Much less than writers wait for a collector. */
const waitMs = 1000;
const pauseMs = 2000;

const realSleep = async (ms: number, signal: AbortSignal) => {
  await delay(ms, undefined, {signal});
};

/**
 * Waits until no backup runs, however long that takes. A waiting collector blocks new backups, so each try is
 * short, and new backups can start between two tries. The vault remembers what each try saw, so that a process that
 * stopped without ending counts as dead after a TTL of tries.
 */
export async function waitForCollector(
  {vault, progress, signal, sleep = realSleep}: WorkTools & {vault: Vault},
  operation: string,
): Promise<VaultCollector> {
  for (;;) {
    progress({phase: 'Waiting for running backups', bytesDone: 0, itemsDone: 0});
    try {
      return await vault.collector({purpose: `operation ${operation}`}, {signal, waitMs});
    } catch (error) {
      if (!(error instanceof BkpError) || error.code !== 'VAULT_LOCKED') throw error;
    }
    await sleep(pauseMs, signal);
  }
}
