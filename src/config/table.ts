import {availableParallelism} from 'node:os';
import {BkpError, didYouMean} from '../errors/index.ts';
import type {Home} from './home.ts';
import {directory, integer, type Kind, oneOf, source, yesNo} from './kinds.ts';

type Row<Value extends string | number | boolean> = {
  key: string;
  kind: Kind<Value>;
  /** Absent: there is no default, and the setting may be absent. */
  default?: (home: Home) => Value;
  /** The global option that sets it; absent: none does. */
  flag?: 'source' | 'cluster';
  meaning: string;
};

const maxThreads = 256;

/** Every setting of bkp, by its name in the code. Keys that QuestDB has too are spelled as there. */
const rows = {
  source: {key: 'source', kind: source, flag: 'source', meaning: 'database to back up and to restore into'},
  cluster: {
    key: 'cluster',
    kind: directory('cluster'),
    flag: 'cluster',
    default: (home: Home) => home.clusterDir,
    meaning: "directory that STORAGE = 'cluster' names",
  },
  check: {
    key: 'check',
    kind: oneOf('quick', 'full'),
    default: () => 'quick' as const,
    meaning: "the database's own check at the end of a restore",
  },
  enabled: {key: 'backup.enabled', kind: yesNo, default: () => true, meaning: 'false refuses every statement'},
  compressionLevel: {
    key: 'backup.compression.level',
    kind: integer(1, 22),
    default: () => 1,
    meaning: 'zstd level: a higher one stores less and takes longer',
  },
  compressionThreads: {
    key: 'backup.compression.threads',
    kind: integer(1, maxThreads),
    default: () => Math.min(availableParallelism(), maxThreads),
    meaning: 'chunks compressed at once; the default is one a processor',
  },
} as const satisfies Record<string, Row<string | number | boolean>>;

type Table = typeof rows;
export type SettingField = keyof Table;
type ValueOf<R> = R extends {kind: Kind<infer Value>}
  ? R extends {default: unknown}
    ? Value
    : Value | undefined
  : never;

/** Every setting with its value; paths are absolute. */
export type Settings = {readonly [Field in SettingField]: ValueOf<Table[Field]>};

export type Setting = Row<string | number | boolean> & {field: SettingField};

export const settings: readonly Setting[] = Object.entries(rows).map(([field, row]) => ({
  ...(row as Row<string | number | boolean>),
  field: field as SettingField,
}));

/** @throws BkpError `USAGE` naming the key that was probably meant */
export function settingOf(key: string): Setting {
  const found = settings.find((setting) => setting.key === key.toLowerCase());
  if (found !== undefined) return found;
  const keys = settings.map((setting) => setting.key);
  const near = didYouMean(key, keys);
  throw new BkpError('USAGE', `unknown setting ${JSON.stringify(key)}`, {
    next: near === undefined ? `the settings are ${keys.join(', ')}` : `did you mean ${near}?`,
  });
}

/** In order of precedence: bkp's own name, then for `backup.…` QuestDB's. */
export function environmentNames({key}: Pick<Setting, 'key'>): string[] {
  const name = key.toUpperCase().replaceAll('.', '_');
  return key.startsWith('backup.') ? [`BKP_${name}`, `QDB_${name}`] : [`BKP_${name}`];
}

/** @throws BkpError `USAGE` | `UNSUPPORTED` saying what is accepted */
export function readValue({key, kind}: Setting, text: string, cwd: string): string | number | boolean {
  const value = kind.read(text, cwd);
  if (value !== undefined) return value;
  throw new BkpError('USAGE', `${key} cannot be ${JSON.stringify(text)}`, {next: `accepted: ${kind.accepts}`});
}
