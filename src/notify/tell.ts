import type {Environment, NotifyTarget} from '../config/index.ts';
import {type CallOptions, callUrl} from './call-url.ts';
import {heartbeatUrl} from './heartbeat-url.ts';
import {type CommandOptions, runCommand} from './run-command.ts';

/** What to notify; absent: no notification. */
export type NotifyTargets = {
  onFailure?: NotifyTarget;
  onSuccess?: NotifyTarget;
  /** An http(s) URL. */
  heartbeat?: NotifyTarget;
};

export type EndOfOperation = {
  /** False for a failure and for a cancel: there is no result. */
  succeeded: boolean;
  /** The operation is a backup. Heartbeats are sent only for backups. */
  isBackup: boolean;
  /** The operation, as `operation get --format json` prints it. */
  json: string;
  /** A command's whole environment. */
  env: Environment;
};

export type TellOptions = {call?: CallOptions; command?: Pick<CommandOptions, 'timeoutMs'>};

/**
 * Reports the start of a backup to the monitor. Tries once: a late start is useless, and the end is reported in any
 * case.
 * @returns undefined, or a message without secrets when it failed
 */
export async function tellStart({heartbeat}: NotifyTargets, {call}: TellOptions = {}): Promise<string | undefined> {
  if (heartbeat === undefined) return undefined;
  const fault = await callUrl(heartbeatUrl(heartbeat.reveal(), 'start'), undefined, {...call, tries: 1});
  return fault === undefined ? undefined : `notify.heartbeat (start) ${heartbeat.shown}: ${fault}`;
}

/**
 * Sends all notifications about the end of an operation concurrently. Never throws.
 * @returns a message without secrets for each that failed
 */
export async function tellEnd(
  {onFailure, onSuccess, heartbeat}: NotifyTargets,
  end: EndOfOperation,
  options: TellOptions = {},
): Promise<string[]> {
  const {succeeded, json} = end;
  const notified = succeeded ? onSuccess : onFailure;
  const sent: Promise<string | undefined>[] = [];
  if (notified !== undefined) {
    const sending =
      notified.kind === 'webhook'
        ? callUrl(notified.reveal(), json, options.call)
        : runCommand(notified.reveal(), json, {env: end.env, ...options.command});
    sent.push(named(`notify.${succeeded ? 'on_success' : 'on_failure'} ${notified.shown}`, sending));
  }
  if (heartbeat !== undefined && end.isBackup) {
    const url = heartbeatUrl(heartbeat.reveal(), succeeded ? 'success' : 'fail');
    sent.push(named(`notify.heartbeat ${heartbeat.shown}`, callUrl(url, json, options.call)));
  }
  return (await Promise.all(sent)).filter((fault) => fault !== undefined);
}

/** A thrown error may contain secrets, so the message contains only its name. */
async function named(who: string, sending: Promise<string | undefined>): Promise<string | undefined> {
  const fault = await sending.catch((error: Error) => `the notification failed (${error.name})`);
  return fault === undefined ? undefined : `${who}: ${fault}`;
}
