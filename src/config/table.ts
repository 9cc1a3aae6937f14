import {availableParallelism} from 'node:os';
import {BkpError, didYouMean} from '../errors/index.ts';
import {storageWords} from './chosen-storage.ts';
import type {Home} from './home.ts';
import {
  alwaysOn,
  days,
  directory,
  integer,
  type Kind,
  notifyTarget,
  objectStore,
  oneOf,
  rate,
  secretText,
  source,
  url,
  type Value,
  wording,
  yesNo,
} from './kinds.ts';

type Row<Of extends Value> = {
  key: string;
  kind: Kind<Of>;
  /** Absent: there is no default, and the setting may be absent. */
  default?: (home: Home) => Of;
  /** True: the word `off` is accepted, is the default, and means that the setting is absent. */
  canBeOff?: true;
  /** The global option that sets it; absent: none does. */
  flag?: 'source' | 'cluster' | 'store' | 'limitUpload' | 'limitDownload';
  /**
   * Words in the place of a value that the flag takes, and that say something else: then the flag does not count
   * here.
   */
  flagWords?: readonly string[];
  /** A name in the environment beside those made of the key; it comes before them. */
  environment?: string;
  /**
   * True: the value may hold a secret. Each name in the environment with `_FILE` added names a file that holds the
   * value.
   */
  secret?: true;
  meaning: string;
};

const maxThreads = 256;

/** Every setting of bkp, by its name in the code. Keys that QuestDB has too are spelled as there. */
const rows = {
  source: {key: 'source', kind: source, flag: 'source', meaning: 'database to back up and to restore into'},
  sourcePassword: {
    key: 'source.password',
    kind: secretText,
    secret: true,
    meaning: "password of the source's user",
  },
  sourceToken: {
    key: 'source.token',
    kind: secretText,
    secret: true,
    meaning: 'token of a source that asks for one instead of a password',
  },
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
  objectStore: {
    key: 'backup.object.store',
    kind: objectStore,
    flag: 'store',
    flagWords: storageWords,
    environment: 'BKP_STORE',
    secret: true,
    meaning: "store that STORAGE = 's3' names",
  },
  lockDays: {
    key: 'backup.object.store.lock',
    kind: days,
    canBeOff: true,
    meaning: 'how long the server is asked to protect what a backup needs, in days: 30d',
  },
  requestsAtOnce: {
    key: 'backup.object.store.requests',
    kind: integer(1, 64),
    default: () => 4,
    meaning: 'requests to the object store at once',
  },
  limitUpload: {
    key: 'backup.limit.upload',
    kind: rate,
    canBeOff: true,
    flag: 'limitUpload',
    meaning: 'most that is sent to the object store a second: 10MB',
  },
  limitDownload: {
    key: 'backup.limit.download',
    kind: rate,
    canBeOff: true,
    flag: 'limitDownload',
    meaning: 'most that is fetched from the object store a second: 10MB',
  },
  enabled: {key: 'backup.enabled', kind: yesNo, default: () => true, meaning: 'false refuses every statement'},
  scheduleLine: {
    key: 'backup.schedule.cron',
    kind: wording('a cron line of five fields, such as 0 2 * * *'),
    meaning: 'when bkp scheduler runs BACKUP DATABASE',
  },
  scheduleZone: {
    key: 'backup.schedule.tz',
    kind: wording('UTC, or an IANA name such as Europe/Berlin'),
    default: () => 'UTC',
    meaning: 'time zone of that line',
  },
  keepLatest: {
    key: 'backup.cleanup.keep.latest.n',
    kind: integer(1, 1_000_000),
    default: () => 5,
    meaning: 'backups of a database that stay; older ones go after a good one',
  },
  partitionHashes: {
    key: 'backup.enable.partition.hashes',
    kind: alwaysOn,
    default: () => true as const,
    meaning: "QuestDB's setting; blocks are named by their hashes always, so true is all it can be",
  },
  verifyHashes: {
    key: 'backup.verify.partition.hashes',
    kind: alwaysOn,
    default: () => true as const,
    meaning: "QuestDB's setting; a restore compares every block with its hash always, so true is all it can be",
  },
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
    meaning: 'threads that compress; the default is one a processor',
  },
  niceness: {
    key: 'backup.niceness',
    kind: integer(0, 19),
    default: () => 10,
    meaning: 'how far a worker gives way to other programs, restores excepted; 0: not at all',
  },
  selectRows: {
    key: 'select.limit.rows',
    kind: integer(1, 100_000_000),
    default: () => 100_000,
    meaning: 'rows that a SELECT may answer',
  },
  selectSeconds: {
    key: 'select.limit.seconds',
    kind: integer(1, 1_000_000),
    default: () => 30,
    meaning: 'seconds that a SELECT may take, without what its views take',
  },
  selectMebibytes: {
    key: 'select.limit.mebibytes',
    kind: integer(16, 1_000_000),
    default: () => 256,
    meaning: 'MiB of memory that a SELECT may take for its joins and sorting, and for its answer',
  },
  notifyOnFailure: {
    key: 'notify.on_failure',
    kind: notifyTarget,
    canBeOff: true,
    secret: true,
    meaning: 'command line or URL that is told of an operation that failed or was cancelled',
  },
  notifyOnSuccess: {
    key: 'notify.on_success',
    kind: notifyTarget,
    canBeOff: true,
    secret: true,
    meaning: 'command line or URL that is told of an operation that succeeded',
  },
  notifyHeartbeat: {
    key: 'notify.heartbeat',
    kind: url,
    canBeOff: true,
    secret: true,
    meaning: 'URL of a cron monitor: called when a backup starts, succeeds, fails',
  },
} as const satisfies Record<string, Row<Value>>;

type Table = typeof rows;
export type SettingField = keyof Table;
type ValueOf<R> = R extends {kind: Kind<infer Of>} ? (R extends {default: unknown} ? Of : Of | undefined) : never;

/** Every setting with its value; paths are absolute, bounds are bytes a second. */
export type Settings = {readonly [Field in SettingField]: ValueOf<Table[Field]>};

export type Setting = Row<Value> & {field: SettingField};

export const settings: readonly Setting[] = Object.entries(rows).map(([field, row]) => ({
  ...(row as Row<Value>),
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

/** In order of precedence: a name of its own, then bkp's for the key, then for `backup.…` QuestDB's. */
export function environmentNames({key, environment}: Pick<Setting, 'key' | 'environment'>): string[] {
  const name = key.toUpperCase().replaceAll('.', '_');
  return [
    ...(environment === undefined ? [] : [environment]),
    `BKP_${name}`,
    ...(key.startsWith('backup.') ? [`QDB_${name}`] : []),
  ];
}

/**
 * @returns undefined: off
 * @throws BkpError `USAGE` | `UNSUPPORTED` saying what is accepted
 */
export function readValue({key, kind, canBeOff, secret}: Setting, text: string, cwd: string): Value | undefined {
  if (canBeOff && text.toLowerCase() === 'off') return undefined;
  const value = kind.read(text, cwd);
  if (value !== undefined) return value;
  const accepted = canBeOff ? `${kind.accepts}; or off` : kind.accepts;
  // What was meant as a secret is one also when it is written wrongly.
  const given = secret ? 'this' : JSON.stringify(text);
  throw new BkpError('USAGE', `${key} cannot be ${given}`, {next: `accepted: ${accepted}`});
}

/** The text that a profile or a worker's environment keeps; {@link readValue} reads it back. Secrets are in it. */
export function writeValue({kind}: Setting, value: Value | undefined): string {
  if (value === undefined) return 'off';
  return kind.write === undefined ? String(value) : kind.write(value);
}

/** What may be shown of a value; `***` stands where a secret is. */
export function showValue({kind}: Setting, value: Value | undefined): string | number | boolean {
  if (value === undefined) return 'off';
  if (kind.show !== undefined) return kind.show(value);
  if (kind.write !== undefined) return kind.write(value);
  return typeof value === 'object' ? String(value) : value;
}
