import {BkpError} from '../errors/index.ts';
import {readConfigFile} from './file.ts';
import type {Environment, Home} from './home.ts';
import {profileOf} from './profiles.ts';
import {
  environmentNames,
  readValue,
  type Setting,
  type SettingField,
  type Settings,
  settingOf,
  settings,
} from './table.ts';

export type SettingsInput = {
  home: Home;
  env: Environment;
  flags: {readonly source?: string; readonly cluster?: string; readonly profile?: string};
  /** What a relative path in a flag or in the environment starts from; default the process's. */
  cwd?: string;
};

/** One setting, and where its value comes from. */
export type ExplainedSetting = {
  key: string;
  field: SettingField;
  /** Absent: not set, and without default. */
  value?: string | number | boolean;
  /** `flag --source`, `environment BKP_SOURCE`, `profile default (/home/ann/…/config.json)`, `default`, or `not set`. */
  origin: string;
  meaning: string;
};

/** @throws BkpError `USAGE` | `UNSUPPORTED` | `NEWER_VERSION` | `CONFIG_UNAVAILABLE` */
export function loadSettings(input: SettingsInput): Settings {
  return Object.fromEntries(explainSettings(input).map(({field, value}) => [field, value])) as Settings;
}

/** Every setting in the order of the table: flag, environment, profile, default. Throws as {@link loadSettings}. */
export function explainSettings(input: SettingsInput): ExplainedSetting[] {
  const {home, cwd = process.cwd()} = input;
  const profile = profileName(input);
  const values = profileOf(readConfigFile(home.configFile), profile);
  const origin = `profile ${profile} (${home.configFile})`;
  for (const key of Object.keys(values)) {
    within(origin, () => settingOf(key), `bkp --profile ${profile} config unset ${key}`);
  }
  return settings.map((setting) =>
    // A path that somebody wrote into the file by hand starts from the file.
    explain(setting, home, givenText(setting, input, cwd) ?? {text: values[setting.key], origin, cwd: home.dir}),
  );
}

function explain(setting: Setting, home: Home, {text, origin, cwd}: Given): ExplainedSetting {
  const {key, field, meaning} = setting;
  if (text !== undefined) {
    return {key, field, value: within(origin, () => readValue(setting, text, cwd)), origin, meaning};
  }
  if (setting.default === undefined) return {key, field, origin: 'not set', meaning};
  return {key, field, value: setting.default(home), origin: 'default', meaning};
}

/** The profile that is used: the flag's, the environment's, or the active one. It need not exist. */
export function profileName({home, env, flags}: Pick<SettingsInput, 'home' | 'env' | 'flags'>): string {
  return flags.profile ?? (env.BKP_PROFILE || readConfigFile(home.configFile).active);
}

/** The flag or the environment variable that wins over what a profile says; undefined: none does. */
export function overrideOf(setting: Setting, input: Pick<SettingsInput, 'env' | 'flags'>): string | undefined {
  return givenText(setting, input, '')?.origin;
}

type Given = {text: string | undefined; origin: string; cwd: string};

function givenText(
  {key, flag}: Setting,
  {flags, env}: Pick<SettingsInput, 'env' | 'flags'>,
  cwd: string,
): Given | undefined {
  const flagText = flag === undefined ? undefined : flags[flag];
  if (flagText !== undefined) return {text: flagText, origin: `flag --${flag}`, cwd};
  // An empty variable counts as absent: `BKP_SOURCE= bkp …` is how a shell takes one away for one command.
  const name = environmentNames({key}).find((candidate) => env[candidate]);
  return name === undefined ? undefined : {text: env[name], origin: `environment ${name}`, cwd};
}

/** Adds to an error where the value that it complains of came from. */
function within<T>(origin: string, read: () => T, next?: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    const hint = [error.next, next].filter((part) => part !== undefined).join('; or ');
    throw new BkpError(error.code, error.message, {cause: `it comes from ${origin}`, next: hint});
  }
}
