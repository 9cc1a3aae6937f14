import type {Settings} from '../../config/index.ts';
import type {NotifyTargets} from '../../notify/index.ts';

/** Whom the settings name. */
export function notifyTargets(settings: Settings): NotifyTargets {
  const {notifyOnFailure: onFailure, notifyOnSuccess: onSuccess, notifyHeartbeat: heartbeat} = settings;
  return {
    ...(onFailure === undefined ? {} : {onFailure}),
    ...(onSuccess === undefined ? {} : {onSuccess}),
    ...(heartbeat === undefined ? {} : {heartbeat}),
  };
}

/**
 * What a worker's environment says of them, so that it tells those who were named when the statement was given: by a flag,
 * a file, or the profile of that moment. `off` is said too, or the worker would look into its own profile.
 */
export function notifyVariables(settings: Settings): Record<string, string> {
  const {notifyOnFailure, notifyOnSuccess, notifyHeartbeat} = settings;
  return {
    BKP_NOTIFY_ON_FAILURE: notifyOnFailure?.reveal() ?? 'off',
    BKP_NOTIFY_ON_SUCCESS: notifyOnSuccess?.reveal() ?? 'off',
    BKP_NOTIFY_HEARTBEAT: notifyHeartbeat?.reveal() ?? 'off',
  };
}
