import {basename, dirname} from 'node:path';
import {BkpError, didYouMean, isDiskFull} from '../errors/index.ts';
import {makeFolderSync} from '../lib/files.ts';
import {shellQuoted} from '../lib/text.ts';
import {type ConfigFile, parseConfigFile, readConfigFile} from './file.ts';
import type {Home} from './home.ts';
import {readValue, settingOf, showValue, writeValue} from './table.ts';

/** The profiles of a home. Each call reads the file again; a change replaces the file atomically, with mode 0600. */
export interface Profiles {
  /** The profile that is used by default. */
  active(): string;
  /** Sorted. */
  list(): string[];
  /** The profile's own values, by key. @throws BkpError `USAGE` when there is no such profile */
  values(profile: string): Readonly<Record<string, string>>;
  /**
   * @param cwd the directory that a relative path starts from; the absolute path is stored
   * @returns the stored value, with `***` for a secret
   * @throws BkpError `USAGE` | `UNSUPPORTED` for an unknown key, an unacceptable value, or an unknown profile
   */
  set(profile: string, key: string, text: string, cwd: string): Promise<string>;
  /** Also removes an unknown key. @returns false when the profile had no value for the key */
  unset(profile: string, key: string): Promise<boolean>;
  /** @throws BkpError `USAGE` (not a valid name) | `PRECONDITION` (the profile exists) */
  create(profile: string): Promise<void>;
  activate(profile: string): Promise<void>;
  /** @throws BkpError `PRECONDITION` for the active one */
  delete(profile: string): Promise<void>;
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function openProfiles({configFile}: Pick<Home, 'configFile'>): Profiles {
  const read = () => readConfigFile(configFile);

  async function change(edit: (config: ConfigFile) => void): Promise<void> {
    const config = read();
    edit(config);
    await writeConfigFile(configFile, config);
  }

  return {
    active: () => read().active,
    list: () => Object.keys(read().profiles).sort(),
    values: (profile) => profileOf(read(), profile),

    async set(profile, key, text, cwd) {
      const setting = settingOf(key);
      const value = readValue(setting, text, cwd);
      await change((config) => {
        profileOf(config, profile)[setting.key] = writeValue(setting, value);
      });
      return String(showValue(setting, value));
    },

    async unset(profile, key) {
      const values = profileOf(read(), profile);
      const present = Object.hasOwn(values, key) ? key : settingOf(key).key;
      if (!Object.hasOwn(values, present)) return false;
      await change((config) => {
        delete profileOf(config, profile)[present];
      });
      return true;
    },

    create: (profile) =>
      change((config) => {
        if (!namePattern.test(profile)) {
          throw new BkpError('USAGE', `${JSON.stringify(profile)} is not a valid name of a profile`, {
            next: 'use up to 64 letters, digits, dots, - and _, beginning with a letter or a digit',
          });
        }
        if (Object.hasOwn(config.profiles, profile)) {
          throw new BkpError('PRECONDITION', `profile ${profile} exists already`, {
            next: `bkp --profile ${profile} config list`,
          });
        }
        config.profiles[profile] = {};
      }),

    activate: (profile) =>
      change((config) => {
        profileOf(config, profile);
        config.active = profile;
      }),

    delete: (profile) =>
      change((config) => {
        profileOf(config, profile);
        if (config.active === profile) {
          throw new BkpError('PRECONDITION', `profile ${profile} is the active one`, {
            next: 'activate another one first: bkp config profile activate NAME',
          });
        }
        delete config.profiles[profile];
      }),
  };
}

/** @throws BkpError `USAGE` when there is no such profile */
export function profileOf(config: ConfigFile, profile: string): Record<string, string> {
  const values = Object.hasOwn(config.profiles, profile) ? config.profiles[profile] : undefined;
  if (values !== undefined) return values;
  const names = Object.keys(config.profiles);
  const near = didYouMean(profile, names);
  throw new BkpError('USAGE', `there is no profile ${JSON.stringify(profile)}`, {
    next:
      near === undefined
        ? `the profiles are ${names.sort().join(', ')}; create one with bkp config profile create NAME`
        : `did you mean ${near}?`,
  });
}

async function writeConfigFile(file: string, config: ConfigFile): Promise<void> {
  try {
    makeFolderSync(dirname(file), 0o700);
    const {default: Conf} = await import('conf');
    const conf = new Conf<ConfigFile>({
      cwd: dirname(file),
      configName: basename(file, '.json'),
      fileExtension: 'json',
      configFileMode: 0o600,
      // Keys contain dots: `backup.enabled` is one key, not a path.
      accessPropertiesByDotNotation: false,
      clearInvalidConfig: false,
      // If the file has become invalid since it was read, the write must fail.
      deserialize: (text) => parseConfigFile(text, file),
    });
    conf.store = config;
  } catch (error) {
    if (error instanceof BkpError) throw error;
    throw new BkpError('CONFIG_UNAVAILABLE', `cannot write the configuration ${file}`, {
      cause: error,
      next: isDiskFull(error) ? `free space there: df -h ${shellQuoted(dirname(file))}` : 'bkp doctor',
    });
  }
}
