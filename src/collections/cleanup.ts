import {setTimeout as sleep} from 'node:timers/promises';
import {BkpError} from '../errors/index.ts';
import type {Vault, VaultCollector} from '../vault/index.ts';
import {readAllFolders} from './folder.ts';
import type {WorkTools} from './work.ts';

/** Much less than writers wait for a collector. */
const waitAtOnceMs = 1000;
const pauseMs = 2000;

export type CleanupReport = {freedBytes: number; backups: number};

/**
 * Removes what DROP has promised to remove, then what no manifest needs any more. Waits for running backups to end;
 * begun anew at any point after a crash, it ends the same.
 */
export async function cleanUp(tools: WorkTools & {vault: Vault}, operation: string): Promise<CleanupReport> {
  const {vault, signal} = tools;
  const collector = await waitForCollector(tools, operation);
  try {
    const condemned = (await readAllFolders(vault)).map((folder) => folder.condemned);
    const manifests = condemned.flatMap((keys) => keys.manifests);
    tools.progress({phase: 'Removing backups', bytesDone: 0, itemsDone: 0, itemsTotal: manifests.length});
    // Manifests first: a definition that promises their removal may go only when they are gone.
    await collector.remove(manifests);
    for (const {definitions} of condemned) await collector.remove(definitions);
    signal.throwIfAborted();
    const plan = await collector.plan({signal});
    const {freedBytes} = await collector.execute(plan, {
      signal,
      progress: (itemsDone, itemsTotal) =>
        tools.progress({phase: 'Freeing space', bytesDone: 0, itemsDone, itemsTotal}),
    });
    return {freedBytes, backups: manifests.length};
  } finally {
    await collector.close();
  }
}

/**
 * A collector that waits holds new backups up; so it waits briefly, lets them through, and tries again, for as long
 * as it takes.
 */
async function waitForCollector(tools: WorkTools & {vault: Vault}, operation: string): Promise<VaultCollector> {
  for (;;) {
    tools.progress({phase: 'Waiting for running backups', bytesDone: 0, itemsDone: 0});
    try {
      return await tools.vault.collector(
        {purpose: `operation ${operation}`},
        {signal: tools.signal, waitMs: waitAtOnceMs},
      );
    } catch (error) {
      if (!(error instanceof BkpError) || error.code !== 'VAULT_LOCKED') throw error;
    }
    await sleep(pauseMs, undefined, {signal: tools.signal});
  }
}
