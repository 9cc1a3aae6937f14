import {exposure} from './file.ts';
import {fileVariables, type SettingsInput} from './settings.ts';
import {settings} from './table.ts';

/** Every way in which other users can read a secret; one sentence each, with the next step. */
export function exposures({home, env, flags}: Pick<SettingsInput, 'home' | 'env' | 'flags'>): string[] {
  const files = new Set([home.configFile, ...settings.flatMap((setting) => fileVariables(setting, env))]);
  const found = [...files].flatMap((file) => {
    const why = exposure(file);
    return why === undefined ? [] : [`${why}; close it: chmod 600 ${file}`];
  });
  const argument = flags.store === undefined ? undefined : argumentExposure('--store', flags.store);
  return argument === undefined ? found : [...found, argument];
}

/**
 * @param what the argument that contains the text, such as `--store`
 * @returns undefined when the text contains no secret
 */
export function argumentExposure(what: string, text: string): string | undefined {
  if (!/(secret_access_key|session_token)\s*=/.test(text)) return undefined;
  return (
    `the secret in ${what} is visible in the shell's history and in the list of processes; ` +
    'put it into a file that BKP_STORE_FILE names, or where the AWS tools look for it'
  );
}
