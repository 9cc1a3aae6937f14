import {exposure} from './file.ts';
import {fileVariables, type SettingsInput} from './settings.ts';
import {settings} from './table.ts';

/** What lets others than its owner read a secret; one sentence each, with what to do about it. */
export function exposures({home, env, flags}: Pick<SettingsInput, 'home' | 'env' | 'flags'>): string[] {
  const files = new Set([home.configFile, ...settings.flatMap((setting) => fileVariables(setting, env))]);
  const told = [...files].flatMap((file) => {
    const why = exposure(file);
    return why === undefined ? [] : [`${why}; close it: chmod 600 ${file}`];
  });
  const argument = flags.store === undefined ? undefined : argumentExposure('--store', flags.store);
  return argument === undefined ? told : [...told, argument];
}

/**
 * @param what `--store`, or another place where the text was typed as an argument
 * @returns undefined when there is no secret in the text
 */
export function argumentExposure(what: string, text: string): string | undefined {
  if (!/(secret_access_key|session_token)\s*=/.test(text)) return undefined;
  return `the secret in ${what} stands in the shell's history and in the list of processes; a file that BKP_STORE_FILE names, or what the AWS tools read, keeps it out of both`;
}
