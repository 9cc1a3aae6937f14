import {quoteName} from '../lib/statement-name.ts';
import type {Setting, Statement, WantedBackup} from './statement.ts';

/** Where a name stands that was not typed in a text. */
const start = {line: 1, column: 1};

/** What follows the name of the collection in a BACKUP. */
export const typeWords: Readonly<Record<WantedBackup, string>> = {
  full: '',
  incremental: ' INCREMENTAL',
  'incremental-or-full': ' INCREMENTAL OR FULL',
};

/** `BACKUP c`, `BACKUP c INCREMENTAL …`, as a typed statement. @param name plain name of the collection */
export function backupCollection(name: string, type: WantedBackup): Statement {
  return {
    kind: 'backup',
    text: `BACKUP ${quoteName(name, {always: true})}${typeWords[type]}`,
    place: start,
    collection: {text: name, place: start},
    type,
    settings: [],
  };
}

const settingsText = (settings: readonly Setting[]) =>
  settings.length === 0 ? '' : ` WITH (${settings.map(({key, value}) => `${key}='${value}'`).join(', ')})`;

/** `VERIFY c WITH (…)` as a typed statement. @param settings values without quotes in them */
export function verifyCollection(name: string, settings: readonly Setting[]): Statement {
  return {
    kind: 'verify',
    text: `VERIFY ${quoteName(name, {always: true})}${settingsText(settings)}`,
    place: start,
    backup: {collection: {text: name, place: start}},
    settings,
  };
}

/** `VERIFY DATABASE WITH (…)` as a typed statement. @param settings values without quotes in them */
export function verifyDatabase(settings: readonly Setting[]): Statement {
  return {kind: 'verify-database', text: `VERIFY DATABASE${settingsText(settings)}`, place: start, settings};
}

/** `BACKUP DATABASE` as a typed statement. */
export const backupDatabase: Statement = {
  kind: 'backup-database',
  text: 'BACKUP DATABASE',
  place: start,
  settings: [],
};
