import {resolveHome} from '../../src/config/index.ts';
import {systemProcesses} from '../../src/lib/processes.ts';
import {type Journal, type NewOperation, openJournal} from '../../src/ops/index.ts';

/** The journal that a bkp with this `BKP_HOME` uses. */
export function journalAt(home: string): Journal {
  const {journalFile, logsDir} = resolveHome({BKP_HOME: home}, process.platform, home);
  return openJournal({file: journalFile, logsDir, nowMicros: () => Date.now() * 1000, processes: systemProcesses});
}

let subjects = 0;

/** A full backup of a new collection, so that operations do not block each other. */
export function aBackup(changes: Partial<NewOperation> = {}): NewOperation {
  subjects += 1;
  return {
    kind: 'fullbackup',
    subject: {kind: 'collection', name: `c${subjects}`},
    shared: false,
    statement: `BACKUP c${subjects}`,
    work: null,
    createdBy: 'tester',
    ...changes,
  };
}

/** Adds an operation whose worker is this process: it runs as long as the test. */
export async function addRunning(journal: Journal, changes: Partial<NewOperation> = {}) {
  const {number} = await journal.create(aBackup(changes));
  await journal.claim(number);
  return await journal.get(number);
}

export async function addSucceeded(journal: Journal, changes: Partial<NewOperation> = {}) {
  const {number} = await addRunning(journal, changes);
  await journal.finish(number, {status: 'SUCCESS', result: {backup: 'c/20251226130524Z_full', rows: 3}});
  return await journal.get(number);
}

export async function addFailed(journal: Journal, changes: Partial<NewOperation> = {}) {
  const {number} = await addRunning(journal, changes);
  const error = {code: 'STORE_FULL', status: 'UNAVAILABLE', message: 'the store is full'};
  await journal.finish(number, {status: 'ERROR', error, issues: [], result: {}});
  return await journal.get(number);
}

const anywhere = {storage: 'cluster', compressionLevel: 1, compressionThreads: 1, requestsAtOnce: 1, limits: {}};

/** The place of a work order, with the fields that tests need. */
export const placeIn = (store: {kind: 'directory'; root: string} | 's3', changes: object = {}) => ({
  ...anywhere,
  store: store === 's3' ? {kind: 's3', bucket: 'b', root: '', caBuiltinRoots: true} : store,
  ...changes,
});

/** A work order: a full backup of `c` at the place. */
export const orderAt = (place: object, changes: object = {}) => ({
  do: 'backup',
  collection: 'c',
  type: 'full',
  name: '20251226130524Z_full',
  place,
  ...changes,
});
