import {quoteName} from './names.ts';
import type {Statement} from './statement.ts';

/** Where a name stands that was not typed in a text. */
const start = {line: 1, column: 1};

/** `BACKUP c`, or `BACKUP c INCREMENTAL`, as a typed statement. @param name plain name of the collection */
export function backupCollection(name: string, {incremental}: {incremental: boolean}): Statement {
  return {
    kind: 'backup',
    text: `BACKUP ${quoteName(name, {always: true})}${incremental ? ' INCREMENTAL' : ''}`,
    place: start,
    collection: {text: name, place: start},
    incremental,
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
