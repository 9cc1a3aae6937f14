import {setTimeout as sleep} from 'node:timers/promises';
import {BkpError} from '../errors/index.ts';
import type {Key} from '../stores/index.ts';
import type {Retained, Vault, VaultCollector} from '../vault/index.ts';
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
    const staying = new Set((await collector.remove(manifests)).map(({key}) => key));
    for (const {manifests: promised, definitions} of condemned) {
      if (!promised.some((key) => staying.has(key))) await removeDefinitions(collector, definitions);
    }
    signal.throwIfAborted();
    const plan = await collector.plan({signal});
    const {freedBytes, retained} = await collector.execute(plan, {
      signal,
      progress: (itemsDone, itemsTotal) =>
        tools.progress({phase: 'Freeing space', bytesDone: 0, itemsDone, itemsTotal}),
    });
    if (retained !== undefined) tools.notice(retainedNotice(retained));
    return {freedBytes, backups: manifests.length - staying.size};
  } finally {
    await collector.close();
  }
}

/** The newest last, and only when the older ones are gone: without it, a dropped collection would be there again. */
async function removeDefinitions(collector: VaultCollector, oldestFirst: readonly Key[]): Promise<void> {
  const staying = await collector.remove(oldestFirst.slice(0, -1));
  if (staying.length === 0) await collector.remove(oldestFirst.slice(-1));
}

/** The last moment that a Date knows: what stores tell of a hold without an end. */
const neverMs = 8.64e15;

function retainedNotice({objects, untilMs}: Retained): string {
  const what = objects === 1 ? '1 object is' : `${objects} objects are`;
  const them = objects === 1 ? 'it' : 'them';
  if (untilMs >= neverMs) return `${what} under a legal hold; a cleanup after it was lifted removes ${them}`;
  return `${what} under retention until ${new Date(untilMs).toISOString()}; a cleanup after that removes ${them}`;
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
