import {dirname, resolve} from 'node:path';
import {BkpError} from '../errors/index.ts';
import {readConfigFile} from './file.ts';
import type {Environment, Home} from './home.ts';
import type {Value} from './kinds.ts';
import {profileOf} from './profiles.ts';
import {readValueFile} from './store-file.ts';
import {
  environmentNames,
  readValue,
  type Setting,
  type SettingField,
  type Settings,
  settingOf,
  settings,
  showValue,
} from './table.ts';

export type SettingsInput = {
  home: Home;
  env: Environment;
  flags: {
    readonly source?: string;
    readonly cluster?: string;
    /** An address, or `cluster` or `s3` for one of the profile's stores. */
    readonly store?: string;
    readonly limitUpload?: string;
    readonly limitDownload?: string;
    readonly profile?: string;
  };
  /** The directory that a relative path in a flag or in the environment starts from. */
  cwd: string;
};

/** One setting, its value, and the origin of the value. */
export type ExplainedSetting = {
  key: string;
  field: SettingField;
  /** Absent: off, or not set and without a default. */
  value?: Value;
  /** The value without secrets: `***` for a secret, `off`. Absent: not set. */
  shown?: string | number | boolean;
  /**
   * `flag --source`, `environment BKP_SOURCE`, `profile default (/home/ann/…/config.json)`, `default`, or `not set`.
   */
  origin: string;
  meaning: string;
};

/** @throws BkpError `USAGE` | `UNSUPPORTED` | `NEWER_VERSION` | `CONFIG_UNAVAILABLE` */
export function loadSettings(input: SettingsInput): Settings {
  return Object.fromEntries(explainSettings(input).map(({field, value}) => [field, value])) as Settings;
}

/** Every setting in the order of the table: flag, environment, profile, default. Throws as {@link loadSettings}. */
export function explainSettings(input: SettingsInput): ExplainedSetting[] {
  const {home, cwd} = input;
  const profile = profileName(input);
  const values = profileOf(readConfigFile(home.configFile), profile);
  const origin = `profile ${profile} (${home.configFile})`;
  for (const key of Object.keys(values)) {
    within(origin, () => settingOf(key), `bkp --profile ${profile} config unset ${key}`);
  }
  return settings.map((setting) =>
    // A relative path that was written into the file by hand starts from the file's folder.
    explain(setting, home, given(setting, input, cwd) ?? {read: () => values[setting.key], origin, cwd: home.dir}),
  );
}

function explain(setting: Setting, home: Home, {read, origin, cwd}: Given): ExplainedSetting {
  const {key, field, meaning} = setting;
  const [isSet, value] = within(origin, () => {
    const text = read();
    return text === undefined ? [false, undefined] : [true, readValue(setting, text, cwd)];
  });
  if (isSet) return {key, field, ...shownAs(setting, value), origin, meaning};
  if (setting.canBeOff) return {key, field, ...shownAs(setting, undefined), origin: 'default', meaning};
  if (setting.default === undefined) return {key, field, origin: 'not set', meaning};
  return {key, field, ...shownAs(setting, setting.default(home)), origin: 'default', meaning};
}

function shownAs(setting: Setting, value: Value | undefined): Pick<ExplainedSetting, 'value' | 'shown'> {
  const shown = showValue(setting, value);
  return value === undefined ? {shown} : {value, shown};
}

/** The profile in use: of the flag, of the environment, or the active one. It need not exist. */
export function profileName({home, env, flags}: Pick<SettingsInput, 'home' | 'env' | 'flags'>): string {
  return flags.profile ?? (env.BKP_PROFILE || readConfigFile(home.configFile).active);
}

/** The flag or the environment variable that overrides the profile's value; undefined: nothing overrides it. */
export function overrideOf(setting: Setting, input: Pick<SettingsInput, 'env' | 'flags'>): string | undefined {
  return given(setting, input, '')?.origin;
}

/** The files that the environment names for a setting's value. */
export function fileVariables(setting: Setting, env: Environment): string[] {
  return namesIn(setting).flatMap(({name, isFile}) => (isFile && env[name] ? [env[name]] : []));
}

/** The files of all settings, from `cwd`. */
export function valueFiles({env, cwd}: Pick<SettingsInput, 'env' | 'cwd'>): string[] {
  return settings.flatMap((setting) => fileVariables(setting, env)).map((file) => resolve(cwd, file));
}

/** Where a value was found; `read` opens a file. */
type Given = {read: () => string | undefined; origin: string; cwd: string};

function given(setting: Setting, {flags, env}: Pick<SettingsInput, 'env' | 'flags'>, cwd: string): Given | undefined {
  const {flag, flagWords = []} = setting;
  const flagText = flag === undefined ? undefined : flags[flag];
  if (flag !== undefined && flagText !== undefined && !flagWords.includes(flagText.toLowerCase())) {
    return {read: () => flagText, origin: `flag ${optionName(flag)}`, cwd};
  }
  // An empty variable counts as absent: `BKP_SOURCE= bkp …` is how a shell unsets a variable for one command.
  const found = namesIn(setting).find(({name}) => env[name]);
  if (found === undefined) return undefined;
  const {name, isFile} = found;
  const text = env[name]!;
  if (!isFile) return {read: () => text, origin: `environment ${name}`, cwd};
  const file = resolve(cwd, text);
  // A relative path in the file starts from the file's folder, not from the working directory.
  const {isExact = false} = setting.kind;
  return {
    read: () => readValueFile(file, name, {isExact}),
    origin: `environment ${name} (${file})`,
    cwd: dirname(file),
  };
}

function namesIn(setting: Setting): {name: string; isFile: boolean}[] {
  return environmentNames(setting).flatMap((name) => [
    {name, isFile: false},
    ...(setting.secret ? [{name: `${name}_FILE`, isFile: true}] : []),
  ]);
}

/** `--limit-upload` for `limitUpload`. */
export function optionName(flag: NonNullable<Setting['flag']>): string {
  return `--${flag.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
}

/** Adds the origin of the value to an error about it. */
function within<T>(origin: string, read: () => T, next?: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    const hint = [error.next, next].filter((part) => part !== undefined).join('; or ');
    const cause = [wordsOf(error.cause), `it comes from ${origin}`].filter((part) => part !== undefined).join('; ');
    throw new BkpError(error.code, error.message, {cause, next: hint});
  }
}

function wordsOf(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  return cause instanceof Error ? cause.message : String(cause);
}
