import {type ReportFacts, reportFacts} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import type {Key} from '../../stores/index.ts';

/** Directory name of a backup: `20240824T123456.789123Z`, its backup_timestamp. Name order is time order. */
export type DatabaseBackupName = string & {readonly brand: 'DatabaseBackupName'};

export const backupPrefix = 'backup/';
const namePattern = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{6})Z$/;
const instancePattern = /^[a-z]+-[a-z]+-[a-z]+$/;

export const instancePrefix = (instance: string) => `${backupPrefix}${instance}/`;
export const instanceKey = (instance: string): Key => `${backupPrefix}${instance}/instance`;
export const databaseManifestKey = (instance: string, backup: DatabaseBackupName): Key =>
  `${backupPrefix}${instance}/${backup}/manifest`;

/** @returns what is stored at a key below `backup/`; undefined for a key that bkp does not use */
export function parseDatabaseKey(
  key: Key,
):
  | {instance: string; kind: 'instance'}
  | {instance: string; kind: 'manifest'; backup: DatabaseBackupName}
  | {instance: string; kind: 'report'; backup: DatabaseBackupName; report: ReportFacts}
  | undefined {
  const [, instance, folder, last, ...more] = key.split('/');
  if (instance === undefined || !isInstanceName(instance)) return undefined;
  if (folder === 'instance' && last === undefined) return {instance, kind: 'instance'};
  if (last === 'manifest' && more.length === 0 && folder !== undefined && isDatabaseBackupName(folder)) {
    return {instance, kind: 'manifest', backup: folder};
  }
  if (last === 'reports' && more.length === 1 && folder !== undefined && isDatabaseBackupName(folder)) {
    const report = reportFacts(more[0]!);
    return report && {instance, kind: 'report', backup: folder, report};
  }
  return undefined;
}

/** False for digits that are not a valid time, or a time after 2255, the last that can be counted in microseconds. */
export function isDatabaseBackupName(text: string): text is DatabaseBackupName {
  if (!namePattern.test(text)) return false;
  const micros = backupMicros(text as DatabaseBackupName);
  return Number.isSafeInteger(micros) && backupNameAt(micros) === text;
}

export const isInstanceName = (text: string) => text.length <= 100 && instancePattern.test(text);

/** @throws BkpError `BAD_NAME` */
export function requireInstanceName(text: string): string {
  if (isInstanceName(text)) return text;
  throw new BkpError('BAD_NAME', `${JSON.stringify(text)} is not the name of a backup instance`, {
    next: 'it is three lower-case words with dashes, as SELECT backup_instance_name returns it: gentle-forest-orchid',
  });
}

export function backupNameAt(micros: number): DatabaseBackupName {
  return microsText(micros).replace(/[-:]/g, '') as DatabaseBackupName;
}

/** The backup's timestamp in microseconds since 1970. */
export function backupMicros(backup: DatabaseBackupName): number {
  const [, year, month, day, hour, minute, second, micros] = namePattern.exec(backup)!.map(Number);
  return Date.UTC(year!, month! - 1, day!, hour!, minute!, second!) * 1000 + micros!;
}

/** A name for a backup taken now. It is later than every one in `taken`, even if the clock was set back. */
export function nextDatabaseBackupName(nowMicros: number, taken: readonly DatabaseBackupName[]): DatabaseBackupName {
  const newest = taken.reduce((latest, name) => Math.max(latest, backupMicros(name)), 0);
  const micros = Math.max(Math.floor(nowMicros), newest + 1);
  if (Number.isSafeInteger(micros)) return backupNameAt(micros);
  throw new BkpError('PRECONDITION', 'the next backup would have a name past the year 2255', {
    cause: 'the newest backup was taken with a wrong clock, or this clock is wrong',
    next: 'set the clock; a backup into another store starts with new names',
  });
}
