import {closeSync} from 'node:fs';
import {type Operation, openLogFile, startDetached} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';

/**
 * Starts a process that waits for this one to end, removes what it left outside the vault, and sends the notifications
 * of the operation.
 */
export async function launchCleaner(
  {home, entryFile, env}: Pick<Deps, 'home' | 'entryFile' | 'env'>,
  {number, logFile}: Operation,
): Promise<void> {
  const output = openLogFile(logFile);
  try {
    const args = ['worker', String(number), '--clean-up-after', String(process.pid)];
    await startDetached({entry: entryFile, args, env: {...env, BKP_HOME: home.dir}, cwd: home.dir, output});
  } finally {
    closeSync(output);
  }
}
