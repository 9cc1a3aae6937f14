import {parseBudget} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {Setting} from '../../sql/index.ts';
import type {CollectionSettings, Storage} from '../stored/definition.ts';
import {isKeepKey, keepSettingRules, keepTexts} from '../stored/keep.ts';
import {withKeepRule} from './keep-settings.ts';

/**
 * Checks `settings` and applies them to `current`.
 * @throws BkpError `BAD_REQUEST` for an unknown key or value
 */
export function applySettings(
  current: CollectionSettings | undefined,
  settings: readonly Setting[],
): CollectionSettings {
  requireOneLatest(settings.map(({key}) => key));
  let result: CollectionSettings = {...(current ?? {storage: 'cluster', incremental: false, omitIndexes: false})};
  for (const {key, value} of settings) {
    if (isKeepKey(key)) {
      result = withKeepRule(result, key, value);
      continue;
    }
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
      case 'SCHEDULE':
        result.schedule = lineValue(value);
        break;
      case 'SCHEDULE_FULL':
        result.scheduleFull = lineValue(value);
        break;
      case 'SCHEDULE_VERIFY':
        result.scheduleVerify = lineValue(value);
        break;
      case 'VERIFY_BUDGET':
        parseBudget(key, value);
        result.verifyBudget = value.trim();
        break;
      case 'SCHEDULE_DRILL':
        result.scheduleDrill = lineValue(value);
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

/** RESET restores the values that CREATE uses by default. */
export function resetSettings(current: CollectionSettings, keys: readonly string[]): CollectionSettings {
  let result = {...current};
  for (const key of keys) {
    if (isKeepKey(key)) {
      result = withKeepRule(result, key, undefined);
      continue;
    }
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
      case 'SCHEDULE':
        delete result.schedule;
        break;
      case 'SCHEDULE_FULL':
        delete result.scheduleFull;
        break;
      case 'SCHEDULE_VERIFY':
        delete result.scheduleVerify;
        break;
      case 'VERIFY_BUDGET':
        delete result.verifyBudget;
        break;
      case 'SCHEDULE_DRILL':
        delete result.scheduleDrill;
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

/** The settings as a statement writes them, in the manual's order. */
export function settingsText(settings: CollectionSettings): string {
  const pairs = [`STORAGE='${settings.storage}'`, `INCREMENTAL_BACKUP_ENABLED='${settings.incremental}'`];
  if (settings.omitIndexes) pairs.push("OMIT_INDEXES='true'");
  pairs.push(...keepTexts(settings));
  if (settings.schedule !== undefined) pairs.push(`SCHEDULE='${settings.schedule}'`);
  if (settings.scheduleFull !== undefined) pairs.push(`SCHEDULE_FULL='${settings.scheduleFull}'`);
  if (settings.scheduleVerify !== undefined) pairs.push(`SCHEDULE_VERIFY='${settings.scheduleVerify}'`);
  if (settings.verifyBudget !== undefined) pairs.push(`VERIFY_BUDGET='${settings.verifyBudget}'`);
  if (settings.scheduleDrill !== undefined) pairs.push(`SCHEDULE_DRILL='${settings.scheduleDrill}'`);
  if (settings.scheduleZone !== undefined) pairs.push(`SCHEDULE_TZ='${settings.scheduleZone}'`);
  return pairs.join(', ');
}

function requireOneLatest(keys: readonly string[]): void {
  if (!keys.includes('KEEP_LATEST') || !keys.includes('KEEP_LAST')) return;
  throw new BkpError('BAD_REQUEST', 'KEEP_LAST and KEEP_LATEST are the same setting', {next: 'write one of them'});
}

/** @returns where CREATE with these settings stores the collection. @throws BkpError `BAD_REQUEST` */
export function storageOf(settings: readonly Setting[]): Storage {
  const written = settings.find(({key}) => key === 'STORAGE');
  return written === undefined ? 'cluster' : storageValue('STORAGE', written.value, undefined);
}

/** A collection stays where CREATE stored it: changing a setting does not move backups. */
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

/** The line as written, with single blanks. */
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
    next:
      'the settings are STORAGE, INCREMENTAL_BACKUP_ENABLED, OMIT_INDEXES, ' +
      `${Object.keys(keepSettingRules).join(', ')}, SCHEDULE, SCHEDULE_FULL, SCHEDULE_VERIFY, ` +
      'VERIFY_BUDGET, SCHEDULE_DRILL and SCHEDULE_TZ',
  });
}
