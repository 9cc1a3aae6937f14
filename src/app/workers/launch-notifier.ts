import {closeSync} from 'node:fs';
import {loadSettings} from '../../config/index.ts';
import {asPlain, renderError} from '../../errors/index.ts';
import {type Operation, openLog, openLogFile, startDetached} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {refusalOf} from '../orders/refused.ts';
import {orderOf} from '../orders/work-order.ts';
import {hasListener} from './notifier.ts';
import {notifyTargets, notifyVariable} from './notify-variables.ts';

/**
 * Starts a process that sends the notifications of an operation that has no worker any more, or never had one. The
 * targets are those of the operation's profile as it is now, read with this process's environment: they are secrets, so
 * the journal cannot keep them. Never throws: errors are written to the operation's log.
 */
export async function launchNotifier(
  deps: Pick<Deps, 'env' | 'flags' | 'home' | 'cwd' | 'entryFile' | 'nowMicros'>,
  operation: Operation,
): Promise<void> {
  try {
    const {profile} = orderOf(operation) ?? refusalOf(operation) ?? {};
    const flags = profile === undefined ? deps.flags : {...deps.flags, profile};
    const settings = await loadSettings({...deps, flags});
    if (!hasListener(notifyTargets(settings), operation)) return;
    const output = openLogFile(operation.logFile);
    try {
      await startDetached({
        entry: deps.entryFile,
        args: ['worker', String(operation.number), '--tell-end'],
        env: {...deps.env, BKP_HOME: deps.home.dir, ...notifyVariable(settings)},
        cwd: deps.home.dir,
        output,
      });
    } finally {
      closeSync(output);
    }
  } catch (error) {
    const log = openLog(operation.logFile, deps.nowMicros);
    log.write(`the notifications could not be sent: ${renderError(asPlain(error))}`);
    log.close();
  }
}
