import {readFileSync, statSync} from 'node:fs';
import {BkpError, systemCode} from '../errors/index.ts';

/** What the configuration file holds, version 1. Values are text, as {@link readValue} takes them. */
export type ConfigFile = {
  version: number;
  /** Name of the profile that is used when none is named. */
  active: string;
  profiles: Record<string, Record<string, string>>;
};

export const firstProfile = 'default';
const knownVersion = 1;

/**
 * The file's content, or what stands for an absent file: one empty profile.
 * Read without the `conf` package, which takes longer to load (110 ms) than a whole command may take.
 * @throws BkpError `USAGE` (damaged) | `NEWER_VERSION` | `CONFIG_UNAVAILABLE`
 */
export function readConfigFile(file: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      return {version: knownVersion, active: firstProfile, profiles: {[firstProfile]: {}}};
    throw new BkpError('CONFIG_UNAVAILABLE', `cannot read the configuration ${file}`, {cause: error});
  }
  return parseConfigFile(text, file);
}

/** @throws BkpError `USAGE` (damaged) | `NEWER_VERSION`; never guesses, so that nothing is overwritten by a guess */
export function parseConfigFile(text: string, file: string): ConfigFile {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw damaged(file, error);
  }
  if (!isObject(content)) throw damaged(file, 'it is not a JSON object');
  const {version, active, profiles} = content;
  if (typeof version === 'number' && version > knownVersion) {
    throw new BkpError(
      'NEWER_VERSION',
      `a newer bkp wrote the configuration ${file} (version ${version}, known: ${knownVersion})`,
      {
        next: 'use that bkp, or another home: --home DIR',
      },
    );
  }
  if (version !== knownVersion) throw damaged(file, `"version" is not ${knownVersion}`);
  if (typeof active !== 'string') throw damaged(file, '"active" is not a name');
  if (!isObject(profiles)) throw damaged(file, '"profiles" is not an object');
  const checked = Object.entries(profiles).map(([name, values]) => {
    if (!isObject(values)) throw damaged(file, `profile ${JSON.stringify(name)} is not an object`);
    return [
      name,
      texts(values, (key) => damaged(file, `${JSON.stringify(key)} of profile ${name} is not a plain value`)),
    ];
  });
  return {version, active, profiles: Object.fromEntries(checked)};
}

/** @returns why the file tells too much, when others than its owner may read it */
export function exposure(file: string): string | undefined {
  const mode = statSync(file, {throwIfNoEntry: false})?.mode ?? 0;
  // Windows has no such bits; there Node shows every file as readable by all.
  if (process.platform === 'win32' || (mode & 0o077) === 0) return undefined;
  return `other users may read ${file} (mode ${(mode & 0o777).toString(8)})`;
}

/** A person who edits the file writes numbers and booleans without quotes. */
function texts(values: Record<string, unknown>, fault: (key: string) => BkpError): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => {
      if (!['string', 'number', 'boolean'].includes(typeof value)) throw fault(key);
      return [key, String(value)];
    }),
  );
}

function damaged(file: string, cause: unknown): BkpError {
  return new BkpError('USAGE', `the configuration ${file} is damaged`, {
    cause,
    next: 'correct it, or move it away: bkp then starts with an empty profile',
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
