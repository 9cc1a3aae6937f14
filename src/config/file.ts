import {statSync} from 'node:fs';
import * as v from 'valibot';
import {BkpError, systemCode} from '../errors/index.ts';
import {moveAway, NotAFile, readPlainFile} from '../lib/plain-file.ts';
import {opaque, parsed, parsedJson, text} from '../lib/schema.ts';

/** Content of the configuration file, version 1. Values are text, as {@link readValue} reads them. */
export type ConfigFile = {
  version: number;
  /** Name of the profile that is used by default. */
  active: string;
  profiles: Record<string, Record<string, string>>;
};

export const firstProfile = 'default';
const knownVersion = 1;

/** People who edit the file write numbers and booleans without quotes. */
const plainValue = v.union([v.string(), v.number(), v.boolean()]);
const fileSchema = v.object({
  version: v.literal(knownVersion),
  active: text,
  profiles: v.pipe(opaque, v.record(v.string(), v.pipe(opaque, v.record(v.string(), plainValue)))),
});
type FileOnDisk = v.InferOutput<typeof fileSchema>;

/**
 * The content of the file; without a file, one empty profile.
 * Does not use the `conf` package, whose loading (110 ms) would take longer than most commands.
 * @throws BkpError `USAGE` (damaged) | `NEWER_VERSION` | `CONFIG_UNAVAILABLE`
 */
export function readConfigFile(file: string): ConfigFile {
  let text: string;
  try {
    text = readPlainFile(file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      return {version: knownVersion, active: firstProfile, profiles: {[firstProfile]: {}}};
    throw new BkpError('CONFIG_UNAVAILABLE', `cannot read the configuration ${file}`, {
      cause: error,
      next:
        error instanceof NotAFile
          ? `move it away (${moveAway(file)}): bkp then starts with an empty profile`
          : 'make it readable for this user, or choose another home with --home or BKP_HOME',
    });
  }
  return parseConfigFile(text, file);
}

/** @throws BkpError `USAGE` (damaged) | `NEWER_VERSION`; it never guesses, because the result may overwrite the file */
export function parseConfigFile(json: string, file: string): ConfigFile {
  const content = parsedJson(opaque, json, (why) => damaged(file, why));
  const {version} = content;
  if (typeof version === 'number' && version > knownVersion) {
    throw new BkpError(
      'NEWER_VERSION',
      `a newer bkp wrote the configuration ${file} (version ${version}, known: ${knownVersion})`,
      {
        next: 'use that bkp, or another home: --home DIR',
      },
    );
  }
  const {active, profiles} = parsed<FileOnDisk>(fileSchema, content, (why) => damaged(file, why));
  return {
    version: knownVersion,
    active,
    profiles: Object.fromEntries(Object.entries(profiles).map(([name, values]) => [name, texts(values)])),
  };
}

/** @returns a message when users other than the owner may read the file */
export function exposure(file: string): string | undefined {
  const mode = statSync(file, {throwIfNoEntry: false})?.mode ?? 0;
  // Windows has no such bits, and Node reports every file there as readable by all users.
  if (process.platform === 'win32' || (mode & 0o077) === 0) return undefined;
  return `other users may read ${file} (mode ${(mode & 0o777).toString(8)})`;
}

function texts(values: Record<string, string | number | boolean>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));
}

function damaged(file: string, cause: unknown): BkpError {
  return new BkpError('USAGE', `the configuration ${file} is damaged`, {
    cause,
    next: 'correct it, or move it away: bkp then starts with an empty profile',
  });
}
