import type {Home} from './home.ts';
import type {Profiles} from './profiles.ts';
import type {ExplainedSetting, SettingsInput} from './settings.ts';
import type {Setting, Settings} from './table.ts';

export {absolutePath} from './addresses/absolute-path.ts';
export {type Credentials, hidden} from './addresses/credentials.ts';
export {type ObjectStore, showObjectStore, storeText} from './addresses/object-store.ts';
export type {S3Address} from './addresses/s3.ts';
export {describeSource, parseSource, type SourceAddress} from './addresses/source.ts';
export {
  type DirectoryAddress,
  describeStore,
  parseStore,
  type StoreAddress,
  sameStore,
} from './addresses/store.ts';
export {chosenStorage} from './chosen-storage.ts';
export {
  closeUsualHome,
  type Environment,
  type Home,
  makeInHome,
  openToOthers,
  resolveHome,
  userHome,
} from './home.ts';
export type {NotifyTarget} from './notify-target.ts';
export type {Profiles} from './profiles.ts';
export {describeRate, parseRate} from './rate.ts';
export type {ExplainedSetting, SettingsInput} from './settings.ts';
export type {Setting, SettingField, Settings} from './table.ts';

// Every command resolves the home, but few need more: the rest is loaded on demand.

/** The name of a setting's environment variable, as bkp spells it. */
export function environmentNameOf(key: string): string {
  return `BKP_${key.toUpperCase().replaceAll('.', '_')}`;
}

/**
 * Every setting: flag, environment, profile, default.
 * @throws BkpError `USAGE` | `UNSUPPORTED` | `NEWER_VERSION` | `CONFIG_UNAVAILABLE`
 */
export async function loadSettings(input: SettingsInput): Promise<Settings> {
  return (await import('./settings.ts')).loadSettings(input);
}

/** Every setting with the origin of its value, in the order of the table. */
export async function explainSettings(input: SettingsInput): Promise<ExplainedSetting[]> {
  return (await import('./settings.ts')).explainSettings(input);
}

/** The profile in use: of the flag, of the environment, or the active one. It need not exist. */
export async function profileName(input: Pick<SettingsInput, 'home' | 'env' | 'flags'>): Promise<string> {
  return (await import('./settings.ts')).profileName(input);
}

/** The files that the environment names for values of settings. */
export async function valueFiles(input: Pick<SettingsInput, 'env' | 'cwd'>): Promise<readonly string[]> {
  return (await import('./settings.ts')).valueFiles(input);
}

/** The flag or the environment variable that overrides the profile's value; undefined: nothing overrides it. */
export async function overrideOf(
  setting: Setting,
  input: Pick<SettingsInput, 'env' | 'flags'>,
): Promise<string | undefined> {
  return (await import('./settings.ts')).overrideOf(setting, input);
}

/** All settings: keys for completion, meanings for help. */
export async function knownSettings(): Promise<readonly Setting[]> {
  return (await import('./table.ts')).settings;
}

/** @throws BkpError `USAGE` naming the key that was probably meant */
export async function knownSetting(key: string): Promise<Setting> {
  return (await import('./table.ts')).settingOf(key);
}

export async function openProfiles(home: Pick<Home, 'configFile'>): Promise<Profiles> {
  return (await import('./profiles.ts')).openProfiles(home);
}

/** A message when users other than the owner may read the configuration file. */
export async function exposure(home: Pick<Home, 'configFile'>): Promise<string | undefined> {
  return (await import('./file.ts')).exposure(home.configFile);
}

/**
 * Every way in which other users can read a secret of the settings: the rights of a file, a secret in an argument.
 * One sentence each, with the next step; print them once, on stderr.
 */
export async function exposures(input: Pick<SettingsInput, 'home' | 'env' | 'flags'>): Promise<string[]> {
  return (await import('./exposures.ts')).exposures(input);
}

/** The same for a value that was typed as an argument; undefined when it contains no secret. */
export async function argumentExposure(what: string, text: string): Promise<string | undefined> {
  return (await import('./exposures.ts')).argumentExposure(what, text);
}
