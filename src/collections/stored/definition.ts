import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import {count, name, text, time} from '../../lib/schema.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {Setting} from '../../sql/index.ts';
import type {BackupName} from './names.ts';

/** Which of the two stores of a profile holds the backups: the cluster directory, or the object store. */
export type Storage = 'cluster' | 's3';

export type CollectionSettings = {
  storage: Storage;
  incremental: boolean;
  omitIndexes: boolean;
  /** After each backup the newest so many stay, and older ones go; absent: all stay. */
  keepLatest?: number;
  /** Cron line: when `bkp scheduler` takes a backup. */
  schedule?: string;
  /** Cron line: when that backup is a full one. */
  scheduleFull?: string;
  /** Time zone of both lines; absent: UTC. */
  scheduleZone?: string;
};

export type CollectionMembers = {kind: 'tables'; tables: readonly string[]} | {kind: 'database'};

/** One generation of a collection's definition, as it lies in the vault. */
export type Definition = {
  version: 1;
  /** Random, made by CREATE: a collection made again under an old name is another one. */
  id: string;
  name: string;
  generation: number;
  createdAt: string;
  members: CollectionMembers;
  settings: CollectionSettings;
  /** DROP writes a last generation with this field: what the cleanup must still remove. */
  dropped?: {at: string; backups: readonly BackupName[]};
};

const isCronLine = (line: string) => isAccepted(() => openSchedule(line));
const isZone = (zone: string) => isAccepted(() => openSchedule('0 0 * * *', zone));
const cronLine = v.pipe(text, v.check(isCronLine, 'Invalid cron line'));

export const definitionSchema = v.object({
  version: v.literal(1),
  id: name,
  name,
  generation: v.pipe(count, v.minValue(1)),
  createdAt: time,
  members: v.variant('kind', [
    v.object({kind: v.literal('tables'), tables: v.array(name)}),
    v.object({kind: v.literal('database')}),
  ]),
  settings: v.object({
    storage: v.picklist(['cluster', 's3']),
    incremental: v.boolean(),
    omitIndexes: v.boolean(),
    keepLatest: v.exactOptional(v.pipe(count, v.minValue(1))),
    schedule: v.exactOptional(cronLine),
    scheduleFull: v.exactOptional(cronLine),
    scheduleZone: v.exactOptional(v.pipe(text, v.check(isZone, 'Invalid time zone'))),
  }),
  // Whatever was taken for a name when it was dropped; a name that is none names nothing.
  dropped: v.exactOptional(
    v.object({at: time, backups: v.array(v.custom<BackupName>((value) => typeof value === 'string'))}),
  ),
});

function isAccepted(use: () => unknown): boolean {
  try {
    use();
    return true;
  } catch {
    return false;
  }
}

/**
 * Checks `settings` and lays them over `current`.
 * @throws BkpError `BAD_REQUEST` for an unknown key or value
 */
export function applySettings(
  current: CollectionSettings | undefined,
  settings: readonly Setting[],
): CollectionSettings {
  const result: CollectionSettings = {...(current ?? {storage: 'cluster', incremental: false, omitIndexes: false})};
  for (const {key, value} of settings) {
    switch (key) {
      case 'STORAGE':
        result.storage = storageValue(key, value, current);
        break;
      case 'INCREMENTAL_BACKUP_ENABLED':
        result.incremental = booleanValue(key, value);
        break;
      case 'OMIT_INDEXES':
        result.omitIndexes = booleanValue(key, value);
        break;
      case 'KEEP_LATEST':
        result.keepLatest = countValue(key, value);
        break;
      case 'SCHEDULE':
        result.schedule = lineValue(value);
        break;
      case 'SCHEDULE_FULL':
        result.scheduleFull = lineValue(value);
        break;
      case 'SCHEDULE_TZ':
        result.scheduleZone = zoneValue(value);
        break;
      default:
        throw unknownKey(key);
    }
  }
  return result;
}

/** RESET puts keys back to what they are when CREATE does not name them. */
export function resetSettings(current: CollectionSettings, keys: readonly string[]): CollectionSettings {
  const result = {...current};
  for (const key of keys) {
    switch (key) {
      case 'STORAGE':
        result.storage = storageValue(key, 'cluster', current);
        break;
      case 'INCREMENTAL_BACKUP_ENABLED':
        result.incremental = false;
        break;
      case 'OMIT_INDEXES':
        result.omitIndexes = false;
        break;
      case 'KEEP_LATEST':
        delete result.keepLatest;
        break;
      case 'SCHEDULE':
        delete result.schedule;
        break;
      case 'SCHEDULE_FULL':
        delete result.scheduleFull;
        break;
      case 'SCHEDULE_TZ':
        delete result.scheduleZone;
        break;
      default:
        throw unknownKey(key);
    }
  }
  return result;
}

/** The settings as they are typed, in the order of the manual. */
export function settingsText(settings: CollectionSettings): string {
  const pairs = [`STORAGE='${settings.storage}'`, `INCREMENTAL_BACKUP_ENABLED='${settings.incremental}'`];
  if (settings.omitIndexes) pairs.push("OMIT_INDEXES='true'");
  if (settings.keepLatest !== undefined) pairs.push(`KEEP_LATEST='${settings.keepLatest}'`);
  if (settings.schedule !== undefined) pairs.push(`SCHEDULE='${settings.schedule}'`);
  if (settings.scheduleFull !== undefined) pairs.push(`SCHEDULE_FULL='${settings.scheduleFull}'`);
  if (settings.scheduleZone !== undefined) pairs.push(`SCHEDULE_TZ='${settings.scheduleZone}'`);
  return pairs.join(', ');
}

/** @returns where CREATE with these settings puts the collection. @throws BkpError `BAD_REQUEST` */
export function storageOf(settings: readonly Setting[]): Storage {
  const written = settings.find(({key}) => key === 'STORAGE');
  return written === undefined ? 'cluster' : storageValue('STORAGE', written.value, undefined);
}

/** A collection lies where CREATE put it: its backups do not move by a word. */
function storageValue(key: string, value: string, current: CollectionSettings | undefined): Storage {
  const storage = (['cluster', 's3'] as const).find((word) => word === value.toLowerCase());
  if (storage === undefined) throw badValue(key, value, "'cluster' or STORAGE='s3'");
  if (current === undefined || current.storage === storage) return storage;
  throw new BkpError('BAD_REQUEST', `a collection stays in its store: STORAGE is '${current.storage}'`, {
    next: `COPY BACKUP COLLECTION … TO '${storage}' copies its backups there`,
  });
}

function booleanValue(key: string, value: string): boolean {
  if (!/^(true|false)$/i.test(value)) throw badValue(key, value, "'true' or 'false'");
  return value.toLowerCase() === 'true';
}

/** None at all is DROP's to say. */
function countValue(key: string, value: string): number {
  if (!/^[1-9]\d{0,5}$/.test(value)) throw badValue(key, value, "'7' or another whole number from 1 to 999999");
  return Number(value);
}

/** The line as written, its blanks made single. */
function lineValue(value: string): string {
  openSchedule(value);
  return value.trim().split(/\s+/).join(' ');
}

function zoneValue(value: string): string {
  openSchedule('0 0 * * *', value);
  return value;
}

function badValue(key: string, value: string, accepted: string): BkpError {
  return new BkpError('BAD_REQUEST', `${key} cannot be '${value}'`, {next: `write ${key}=${accepted}`});
}

function unknownKey(key: string): BkpError {
  return new BkpError('BAD_REQUEST', `${key} is not a setting of a backup collection`, {
    next: 'the settings are STORAGE, INCREMENTAL_BACKUP_ENABLED, OMIT_INDEXES, KEEP_LATEST, SCHEDULE, SCHEDULE_FULL and SCHEDULE_TZ',
  });
}
