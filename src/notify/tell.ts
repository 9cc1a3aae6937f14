import type {Environment, NotifyTarget} from '../config/index.ts';
import {type CallOptions, callUrl} from './call-url.ts';
import {heartbeatUrl} from './heartbeat-url.ts';
import {type CommandOptions, runCommand} from './run-command.ts';

/** Who is to be told; absent: nobody. */
export type NotifyTargets = {
  onFailure?: NotifyTarget;
  onSuccess?: NotifyTarget;
  /** An http(s) URL. */
  heartbeat?: NotifyTarget;
};

export type EndOfOperation = {
  /** False for a failure and for a cancel: what was wanted is not there. */
  succeeded: boolean;
  /** True: it made a backup, or was to make one. A heartbeat tells of backups alone. */
  isBackup: boolean;
  /** The operation, as `operation get --format json` prints it. */
  json: string;
  /** A command's whole environment. */
  env: Environment;
};

export type TellOptions = {call?: CallOptions; command?: Pick<CommandOptions, 'timeoutMs'>};

/**
 * Tells the monitor that a backup begins. Once: the end is told in any case, and a beginning that comes late is none.
 * @returns what went wrong, as a sentence without a secret
 */
export async function tellStart({heartbeat}: NotifyTargets, {call}: TellOptions = {}): Promise<string | undefined> {
  if (heartbeat === undefined) return undefined;
  const fault = await callUrl(heartbeatUrl(heartbeat.reveal(), 'start'), undefined, {...call, tries: 1});
  return fault === undefined ? undefined : `notify.heartbeat (start) ${heartbeat.shown}: ${fault}`;
}

/**
 * Tells everybody of an end, all at once, so that a slow one delays no other. Never throws.
 * @returns what went wrong, one sentence each, without secrets
 */
export async function tellEnd(
  {onFailure, onSuccess, heartbeat}: NotifyTargets,
  end: EndOfOperation,
  options: TellOptions = {},
): Promise<string[]> {
  const {succeeded, json} = end;
  const notified = succeeded ? onSuccess : onFailure;
  const told: Promise<string | undefined>[] = [];
  if (notified !== undefined) {
    const way =
      notified.kind === 'webhook'
        ? callUrl(notified.reveal(), json, options.call)
        : runCommand(notified.reveal(), json, {env: end.env, ...options.command});
    told.push(named(`notify.${succeeded ? 'on_success' : 'on_failure'} ${notified.shown}`, way));
  }
  if (heartbeat !== undefined && end.isBackup) {
    const url = heartbeatUrl(heartbeat.reveal(), succeeded ? 'success' : 'fail');
    told.push(named(`notify.heartbeat ${heartbeat.shown}`, callUrl(url, json, options.call)));
  }
  return (await Promise.all(told)).filter((fault) => fault !== undefined);
}

/** Whatever is thrown may hold what must not be shown, so only its kind is told. */
async function named(who: string, way: Promise<string | undefined>): Promise<string | undefined> {
  const fault = await way.catch((error: Error) => `it could not be told (${error.name})`);
  return fault === undefined ? undefined : `${who}: ${fault}`;
}
