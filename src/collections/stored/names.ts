import {type ReportFacts, reportFacts} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {collectionsPrefix, encodeName} from '../../vault/index.ts';

/** Directory name of a backup: `20250215120000Z_full`. Name order is time order; the suffix decides the type. */
export type BackupName = string & {readonly brand: 'BackupName'};
export type BackupType = 'full' | 'incremental';

const backupPattern = /^(\d{14}Z)_(full|incremental)$/;

export function collectionPrefix(collection: string): string {
  return `${collectionsPrefix}${encodeName(collection)}/`;
}

/**
 * The collection's name from its folder, where a very long name is cut. Undefined if bkp creates no folder of
 * this name.
 */
export function nameInPrefix(prefix: string): string | undefined {
  const folder = prefix.slice(collectionsPrefix.length, -1);
  try {
    const name = decodeURIComponent(folder);
    return folder.includes('~') || encodeName(name) === folder ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Definitions are written once; an ALTER or DROP adds the next generation. Eight digits keep key order. */
export function definitionKey(collection: string, generation: number): Key {
  return `${collectionPrefix(collection)}definition/${String(generation).padStart(8, '0')}`;
}

/** Put before the definition that CREATE makes. docs/format.md, "What arrives late", says why. */
export function creatingKey(collection: string, generation: number): Key {
  return definitionKey(collection, generation).replace(/definition\/(\d+)$/, 'creating/$1');
}

export function manifestKey(collection: string, backup: BackupName): Key {
  return `${collectionPrefix(collection)}${backup}/manifest`;
}

/** @returns what is stored at a key below a collection's folder; undefined for a key that bkp does not use */
export function parseCollectionKey(
  key: Key,
):
  | {kind: 'definition' | 'creating'; generation: number}
  | {kind: 'manifest'; backup: BackupName}
  | {kind: 'report'; backup: BackupName; report: ReportFacts}
  | undefined {
  const [, , , folder, last, below, ...more] = key.split('/');
  if (more.length > 0) return undefined;
  if (below !== undefined) {
    const report = last === 'reports' ? reportFacts(below) : undefined;
    if (report === undefined || folder === undefined || !isBackupName(folder)) return undefined;
    return {kind: 'report', backup: folder, report};
  }
  if ((folder === 'definition' || folder === 'creating') && last !== undefined && /^\d{8}$/.test(last)) {
    return {kind: folder, generation: Number(last)};
  }
  if (last === 'manifest' && folder !== undefined && isBackupName(folder)) return {kind: 'manifest', backup: folder};
  return undefined;
}

/** False for digits that are not a valid time (month 13): bkp creates no such folder. */
export function isBackupName(text: string): text is BackupName {
  return backupPattern.test(text) && isTime(text);
}

/** Each manifest has many names, and a list reads many manifests: a Date of each took a tenth of the time. */
function isTime(stamp: string): boolean {
  const part = (from: number, to = from + 2) => Number(stamp.slice(from, to));
  const [year, month, day] = [part(0, 4), part(4), part(6)];
  return month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month) && isClock(part(8), part(10), part(12));
}

const isClock = (hours: number, minutes: number, seconds: number) => hours < 24 && minutes < 60 && seconds < 60;

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

export function backupType(backup: BackupName): BackupType {
  return backup.endsWith('_full') ? 'full' : 'incremental';
}

/** The name of a full backup of the same time. */
export function asFull(backup: BackupName): BackupName {
  return backup.replace(/_.*$/, '_full') as BackupName;
}

/** The time in a backup's name, ISO with seconds: `2025-02-15T12:00:00Z`. */
export function backupTime(backup: BackupName): string {
  const part = (from: number, to = from + 2) => backup.slice(from, to);
  return `${part(0, 4)}-${part(4)}-${part(6)}T${part(8)}:${part(10)}:${part(12)}Z`;
}

/**
 * A name for a backup taken now. It is later than every name in `taken`, so name order stays time order even if
 * the second is already used or the clock was set back.
 */
export function nextBackupName(type: BackupType, nowMicros: number, taken: readonly BackupName[]): BackupName {
  const newest = taken.reduce((latest, name) => Math.max(latest, nameMs(name) / 1000), 0);
  const seconds = Math.max(Math.floor(nowMicros / 1e6), newest + 1);
  const name = `${stampOf(seconds * 1000)}_${type}`;
  if (isBackupName(name)) return name;
  throw new BkpError('PRECONDITION', 'the next backup would have a name past the year 9999', {
    cause: 'the newest backup was taken with a wrong clock, or this clock is wrong',
    next: 'set the clock; a collection that is dropped and created again starts with new names',
  });
}

/** `20250215120000Z`. */
const stampOf = (ms: number) => `${new Date(ms).toISOString().slice(0, -5).replace(/[-:T]/g, '')}Z`;

/** @param point a directory name, or its time part */
export function findByName(backups: readonly BackupName[], point: string): BackupName | undefined {
  return backups.find((name) => name === point || name.split('_')[0] === point);
}

/** The time in a backup's name, milliseconds since 1970. */
export function nameMs(backup: BackupName): number {
  return Date.parse(backupTime(backup));
}
