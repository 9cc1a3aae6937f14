import {quoteName} from './names.ts';
import type {Statement, WantedBackup} from './statement.ts';

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

/** `BACKUP DATABASE` as a typed statement. */
export const backupDatabase: Statement = {
  kind: 'backup-database',
  text: 'BACKUP DATABASE',
  place: start,
  settings: [],
};
