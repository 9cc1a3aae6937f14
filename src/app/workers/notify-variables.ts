import {type Environment, loadSettings, type Settings, type SettingsInput} from '../../config/index.ts';
import type {NotifyTargets} from '../../notify/index.ts';

/**
 * How a worker hears whom it is to tell: those who were named when the statement was given, by a variable, a file, or the profile
 * of that moment. Not by the variables that a user sets: a worker that finds another one dead must see those as they are, since
 * that one's operation may have another profile.
 */
const variable = 'BKP_WORKER_NOTIFY';

/** Whom the settings name. */
export function notifyTargets(settings: Settings): NotifyTargets {
  const {notifyOnFailure: onFailure, notifyOnSuccess: onSuccess, notifyHeartbeat: heartbeat} = settings;
  return {
    ...(onFailure === undefined ? {} : {onFailure}),
    ...(onSuccess === undefined ? {} : {onSuccess}),
    ...(heartbeat === undefined ? {} : {heartbeat}),
  };
}

/** For the environment of a worker, which only its owner may read. */
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

/** Whom this worker is to tell. */
export async function targetsOfWorker(input: SettingsInput): Promise<NotifyTargets> {
  const {env} = input;
  const given = env[variable];
  const named = given === undefined ? {} : (JSON.parse(given) as Environment);
  return notifyTargets(await loadSettings({...input, env: {...env, ...named}}));
}
