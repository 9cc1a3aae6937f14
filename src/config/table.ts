import {availableParallelism} from 'node:os';
import {BkpError, didYouMean} from '../errors/index.ts';
import {storageWords} from './chosen-storage.ts';
import type {Home} from './home.ts';
import {
  alwaysOn,
  days,
  directory,
  filePath,
  integer,
  type Kind,
  notifyTarget,
  objectStore,
  oneOf,
  period,
  rate,
  secretText,
  source,
  url,
  type Value,
  vaultSecret,
  wording,
  yesNo,
} from './kinds.ts';

type Row<Of extends Value> = {
  key: string;
  kind: Kind<Of>;
  /** Absent: there is no default, and the setting may be unset. */
  default?: (home: Home) => Of;
  /** True: the word `off` is accepted, is the default, and means that the setting is unset. */
  canBeOff?: true;
  /** The global option for the setting, if there is one. */
  flag?: 'source' | 'cluster' | 'store' | 'limitUpload' | 'limitDownload';
  /** Words of the flag that are not values of this setting: the flag is then ignored here. */
  flagWords?: readonly string[];
  /** An additional environment variable, which takes precedence over those derived from the key. */
  environment?: string;
  /**
   * True: the value may contain a secret. Each of its environment variables has a counterpart with `_FILE` added, which
   * names a file that contains the value.
   */
  secret?: true;
  meaning: string;
};

const maxThreads = 256;

/** Every setting, by its name in the code. Keys that QuestDB also has are spelled as in QuestDB. */
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
    meaning: 'token of a source that requires one instead of a password',
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
    meaning: 'how long the object store must protect the objects of a backup, in days: 30d',
  },
  requestsAtOnce: {
    key: 'backup.object.store.requests',
    kind: integer(1, 64),
    default: () => 4,
    meaning: 'number of concurrent requests to the object store',
  },
  limitUpload: {
    key: 'backup.limit.upload',
    kind: rate,
    canBeOff: true,
    flag: 'limitUpload',
    meaning: 'maximum upload to the object store per second: 10MB',
  },
  limitDownload: {
    key: 'backup.limit.download',
    kind: rate,
    canBeOff: true,
    flag: 'limitDownload',
    meaning: 'maximum download from the object store per second: 10MB',
  },
  enabled: {key: 'backup.enabled', kind: yesNo, default: () => true, meaning: 'false refuses every statement'},
  scheduleLine: {
    key: 'backup.schedule.cron',
    kind: wording('a cron line of five fields, such as 0 2 * * *'),
    meaning: 'when bkp scheduler runs BACKUP DATABASE',
  },
  verifyLine: {
    key: 'backup.schedule.verify.cron',
    kind: wording('a cron line of five fields, such as 0 4 * * *'),
    meaning: 'when bkp scheduler runs VERIFY DATABASE',
  },
  drillLine: {
    key: 'backup.schedule.drill.cron',
    kind: wording('a cron line of five fields, such as 0 5 1 * *'),
    meaning: "when bkp scheduler runs VERIFY DATABASE with LEVEL = 'restore'",
  },
  verifyBudget: {
    key: 'backup.verify.budget',
    kind: wording('an amount such as 10 GiB, or a time such as 15 min'),
    canBeOff: true,
    meaning: 'how much a scheduled VERIFY DATABASE reads; off: everything',
  },
  scheduleZone: {
    key: 'backup.schedule.tz',
    kind: wording('UTC, or an IANA name such as Europe/Berlin'),
    default: () => 'UTC',
    meaning: 'time zone of these cron lines',
  },
  keepLatest: {
    key: 'backup.cleanup.keep.latest.n',
    kind: integer(1, 1_000_000),
    default: () => 5,
    meaning: 'number of backups of a database to keep; a good backup removes older ones',
  },
  keepHourly: {
    key: 'backup.cleanup.keep.hourly',
    kind: integer(1, 1_000_000),
    canBeOff: true,
    meaning: 'also keep the newest backup of a database from each of this many hours',
  },
  keepDaily: {
    key: 'backup.cleanup.keep.daily',
    kind: integer(1, 1_000_000),
    canBeOff: true,
    meaning: 'also keep the newest backup of a database from each of this many days',
  },
  keepWeekly: {
    key: 'backup.cleanup.keep.weekly',
    kind: integer(1, 1_000_000),
    canBeOff: true,
    meaning: 'also keep the newest backup of a database from each of this many weeks',
  },
  keepMonthly: {
    key: 'backup.cleanup.keep.monthly',
    kind: integer(1, 1_000_000),
    canBeOff: true,
    meaning: 'also keep the newest backup of a database from each of this many months',
  },
  keepYearly: {
    key: 'backup.cleanup.keep.yearly',
    kind: integer(1, 1_000_000),
    canBeOff: true,
    meaning: 'also keep the newest backup of a database from each of this many years',
  },
  keepWithin: {
    key: 'backup.cleanup.keep.within',
    kind: period,
    canBeOff: true,
    meaning: 'also keep all backups of a database from this long before the newest one: 3 days',
  },
  keepVerified: {
    key: 'backup.cleanup.keep.verified',
    kind: integer(1, 1_000_000),
    canBeOff: true,
    meaning: 'also keep this many of the newest backups of a database that were verified',
  },
  partitionHashes: {
    key: 'backup.enable.partition.hashes',
    kind: alwaysOn,
    default: () => true as const,
    meaning: "QuestDB's setting; must be true, because bkp always stores blocks by their hashes",
  },
  verifyHashes: {
    key: 'backup.verify.partition.hashes',
    kind: alwaysOn,
    default: () => true as const,
    meaning: "QuestDB's setting; must be true, because a restore always checks the hash of every block",
  },
  compressionLevel: {
    key: 'backup.compression.level',
    kind: integer(1, 22),
    default: () => 1,
    meaning: 'zstd level: a higher level stores less and takes longer',
  },
  compressionThreads: {
    key: 'backup.compression.threads',
    kind: integer(1, maxThreads),
    default: () => Math.min(availableParallelism(), maxThreads),
    meaning: 'number of compression threads; the default is one per processor',
  },
  niceness: {
    key: 'backup.niceness',
    kind: integer(0, 19),
    default: () => 5,
    meaning: 'niceness of workers after their first second, except for restores; 0: normal priority',
  },
  scratch: {
    key: 'verify.scratch',
    kind: directory('verify.scratch'),
    meaning: "folder in which VERIFY restores backups for a while; the default is in bkp's home",
  },
  questdbCommand: {
    key: 'verify.questdb.command',
    kind: wording('a command line that starts a QuestDB server; bkp adds -d and the root'),
    meaning: 'starts a QuestDB server in the foreground, for restore drills; bkp adds -d and the restored root',
  },
  checkSeconds: {
    key: 'verify.query.seconds',
    kind: integer(1, 1_000_000),
    default: () => 3600,
    meaning: 'maximum duration of one query of CHECK_SQL in seconds; the drill fails if it takes longer',
  },
  selectRows: {
    key: 'select.limit.rows',
    kind: integer(1, 100_000_000),
    default: () => 100_000,
    meaning: 'maximum number of rows of a SELECT',
  },
  selectSeconds: {
    key: 'select.limit.seconds',
    kind: integer(1, 1_000_000),
    default: () => 30,
    meaning: 'maximum duration of a SELECT in seconds, without reading its views',
  },
  selectMebibytes: {
    key: 'select.limit.mebibytes',
    kind: integer(16, 1_000_000),
    default: () => 256,
    meaning: 'maximum memory of a SELECT in MiB, for joins and sorting, and again for its result',
  },
  selectDisk: {
    key: 'select.limit.disk',
    kind: integer(1, 1_000_000_000),
    default: () => 16_384,
    meaning: 'maximum disk space in MiB for the tables of backups that a SELECT reads',
  },
  notifyOnFailure: {
    key: 'notify.on_failure',
    kind: notifyTarget,
    canBeOff: true,
    secret: true,
    meaning: 'command line or URL to notify when an operation fails or is cancelled',
  },
  notifyOnSuccess: {
    key: 'notify.on_success',
    kind: notifyTarget,
    canBeOff: true,
    secret: true,
    meaning: 'command line or URL to notify when an operation succeeds',
  },
  notifyHeartbeat: {
    key: 'notify.heartbeat',
    kind: url,
    canBeOff: true,
    secret: true,
    meaning: 'URL of a cron monitor: called when a backup starts, succeeds, fails',
  },
  vaultPassword: {
    key: 'vault.password',
    kind: vaultSecret,
    secret: true,
    environment: 'BKP_PASSWORD',
    meaning: 'password, or key, of an encrypted vault',
  },
  vaultPasswordCommand: {
    key: 'vault.password.command',
    kind: wording('a command line that prints the password'),
    environment: 'BKP_PASSWORD_COMMAND',
    meaning: 'command that prints the password, or the key, of an encrypted vault: pass show bkp',
  },
  vaultAgeIdentity: {
    key: 'vault.age.identity',
    kind: filePath('vault.age.identity'),
    environment: 'BKP_AGE_IDENTITY_FILE',
    meaning: 'file with an identity of age (age-keygen), which opens an encrypted vault instead of a password',
  },
  vaultKmsKey: {
    key: 'vault.kms.key',
    kind: wording('a key of AWS KMS: its ARN, or its alias'),
    environment: 'BKP_KMS_KEY',
    meaning: 'key of AWS KMS, ARN or alias, which opens an encrypted vault instead of a password',
  },
  clusterEncryption: {
    key: 'vault.cluster.encryption',
    kind: oneOf('auto', 'required', 'off'),
    default: () => 'auto' as const,
    meaning: 'whether the vault in the cluster directory is encrypted; auto: if a password is set',
  },
  s3Encryption: {
    key: 'vault.s3.encryption',
    kind: oneOf('auto', 'required', 'off'),
    default: () => 'auto' as const,
    meaning: 'the same for the object store',
  },
} as const satisfies Record<string, Row<Value>>;

type Table = typeof rows;
export type SettingField = keyof Table;
type ValueOf<R> = R extends {kind: Kind<infer Of>} ? (R extends {default: unknown} ? Of : Of | undefined) : never;

/** Every setting with its value; paths are absolute, limits are bytes per second. */
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
  // After a missing space the key is followed by the value, which may be a secret.
  const name = /^[^=:\s]*/.exec(key)![0];
  const near = didYouMean(name, keys);
  const step = name === key ? near : `${near} VALUE, with a space`;
  throw new BkpError('USAGE', `unknown setting ${JSON.stringify(name)}`, {
    next: near === undefined ? 'bkp config list shows all settings' : `did you mean ${step}?`,
  });
}

/** In order of precedence: the additional variable, bkp's name of the key, and for `backup.…` QuestDB's name. */
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
 * @throws BkpError `USAGE` | `UNSUPPORTED` with what is accepted
 */
export function readValue({key, kind, canBeOff, secret}: Setting, text: string, cwd: string): Value | undefined {
  if (canBeOff && text.toLowerCase() === 'off') return undefined;
  const value = kind.read(text, cwd);
  if (value !== undefined) return value;
  const accepted = canBeOff ? `${kind.accepts}; or off` : kind.accepts;
  // An invalid value may still be a secret.
  const given = secret ? 'this' : JSON.stringify(text);
  throw new BkpError('USAGE', `${key} cannot be ${given}`, {next: `accepted: ${accepted}`});
}

/** The text for a profile or a worker's environment; {@link readValue} reads it back. It contains secrets. */
export function writeValue({kind}: Setting, value: Value | undefined): string {
  if (value === undefined) return 'off';
  return kind.write === undefined ? String(value) : kind.write(value);
}

/** The value for people and programs; `***` replaces a secret. */
export function showValue({kind}: Setting, value: Value | undefined): string | number | boolean {
  if (value === undefined) return 'off';
  if (kind.show !== undefined) return kind.show(value);
  if (kind.write !== undefined) return kind.write(value);
  return typeof value === 'object' ? String(value) : value;
}
