import * as v from 'valibot';
import {loadSettings, type Settings, type SettingsInput} from '../../config/index.ts';
import {parsedJson} from '../../lib/schema.ts';
import type {NotifyTargets} from '../../notify/index.ts';

/**
 * Passes a worker the targets that applied when the statement was given, whether from a variable, a file or the
 * profile. A variable of its own, so that the user's variables stay as they are: a worker that finds another
 * worker dead needs them, because the other operation may have another profile.
 */
const variable = 'BKP_WORKER_NOTIFY';
const variables = v.record(v.string(), v.string());

/** @returns the targets that the settings name */
export function notifyTargets(settings: Settings): NotifyTargets {
  const {notifyOnFailure: onFailure, notifyOnSuccess: onSuccess, notifyHeartbeat: heartbeat} = settings;
  return {
    ...(onFailure === undefined ? {} : {onFailure}),
    ...(onSuccess === undefined ? {} : {onSuccess}),
    ...(heartbeat === undefined ? {} : {heartbeat}),
  };
}

/** @returns a variable for the environment of a worker, which only its owner can read */
export function notifyVariable(settings: Settings): Record<string, string> {
  const {onFailure, onSuccess, heartbeat} = notifyTargets(settings);
  return {
    [variable]: JSON.stringify({
      BKP_NOTIFY_ON_FAILURE: onFailure?.reveal() ?? 'off',
      BKP_NOTIFY_ON_SUCCESS: onSuccess?.reveal() ?? 'off',
      BKP_NOTIFY_HEARTBEAT: heartbeat?.reveal() ?? 'off',
    }),
  };
}

/** @returns the targets of this worker */
export async function targetsOfWorker(input: SettingsInput): Promise<NotifyTargets> {
  const {env} = input;
  const given = env[variable];
  const named = given === undefined ? {} : parsedJson(variables, given, (why) => new Error(`${variable}: ${why}`));
  return notifyTargets(await loadSettings({...input, env: {...env, ...named}}));
}
