import {parseSource} from '../../config/index.ts';
import {backupMicros, planDatabaseBackup} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import {operationId} from '../../ops/index.ts';
import {openCalendar} from '../../schedule/index.ts';
import {requireFiles} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {openOn} from '../orders/busy.ts';
import {databaseSubject, startOperation} from '../orders/start.ts';
import {objectPlace} from '../places/places.ts';
import {withFileSource} from '../places/source-places.ts';
import {requireSource, type Workplace, withVault} from '../places/workplace.ts';
import {keepOf} from '../retention/databases.ts';
import {attempted} from './attempts.ts';
import {startDatabaseDrill} from './database-drill.ts';
import {backupAt} from './database-moment.ts';
import {placeToHealFrom} from './heal-from.ts';
import {type ExecuteOptions, noticesOf, type StatementOf, type StatementResult} from './result.ts';
import {adoptValue, databaseWish} from './settings.ts';

export async function backupDatabase(
  deps: Deps,
  statement: StatementOf<'backup-database'>,
  {refusedSinceMs}: ExecuteOptions = {},
): Promise<StatementResult> {
  const adopt = adoptValue(statement.settings, 'BACKUP DATABASE', 'gentle-forest-orchid');
  // Before the store, whose absence would send the user on a way that leads nowhere.
  const {source} = await deps.settings();
  if (source !== undefined) requireFiles(parseSource(source, '/'));
  const objectStore = await objectPlace(deps);
  const subject = databaseSubject(requireSource(objectStore));
  const {text} = statement;
  const about = {kind: 'dbbackup', subject, statement: text} as const;
  return attempted(deps, {...about, refusedSinceMs}, () => startDatabaseBackup(deps, objectStore, {adopt, text}));
}

async function startDatabaseBackup(
  deps: Deps,
  objectStore: Workplace,
  {adopt, text}: {adopt: string | undefined; text: string},
): Promise<StatementResult> {
  const adopting = adopt === undefined ? {} : {adopt};
  const subject = databaseSubject(requireSource(objectStore));
  const running = await openOn(deps, subject);
  if (running !== undefined) {
    throw new BkpError('BUSY', 'a backup of this database is in progress', {
      cause: `${operationId(running)} began with ${running.statement}`,
      next: 'BACKUP ABORT ends it; SELECT * FROM backups() shows how far it is',
    });
  }
  const keep = keepOf(await deps.settings());
  openCalendar(keep.zone);
  const {name, place} = await withVault({deps, place: objectStore}, {create: true}, (vault, place) =>
    withFileSource(deps, place, async (source) => {
      const {name} = await planDatabaseBackup(vault, source, {...adopting, nowMicros: deps.nowMicros()});
      return {name, place};
    }),
  );
  const operation = await startOperation(
    deps,
    {do: 'dbbackup', place, name, ...keep, ...adopting},
    {kind: 'dbbackup', subject, shared: false, statement: text, backup: microsText(backupMicros(name))},
  );
  return {operation, notices: []};
}

/** Nothing to abort is a result, not an error. */
export async function abortBackup(deps: Deps): Promise<StatementResult> {
  const running = await openOn(deps, databaseSubject(requireSource(await objectPlace(deps))));
  if (running === undefined) return {rows: {kind: 'abort', status: 'not running'}, notices: []};
  const journal = await deps.journal();
  await journal.requestCancel(running.number);
  return {rows: {kind: 'abort', status: 'aborted', backup: running.backup}, notices: []};
}

/** All backups in the store, or the newest one at or before a timestamp. */
export async function verifyDatabase(
  deps: Deps,
  {timestamp, settings, text}: StatementOf<'verify-database'>,
): Promise<StatementResult> {
  const wish = databaseWish(settings);
  if (wish.level === 'restore') return verifyByRestore(deps, {timestamp, text, queries: wish.queries});
  const {heal, ...extent} = wish;
  const objectStore = await objectPlace(deps);
  const {chosen, notice, place} = await withVault({deps, place: objectStore}, {create: false}, async (vault, place) => {
    if (timestamp === undefined) return {chosen: {}, notice: undefined, place};
    const {found, notice} = await backupAt(deps, {place, vault}, {timestamp});
    return {chosen: {instance: found.body.instance, backup: found.body.backup}, notice, place};
  });
  const healing = heal === undefined ? {} : {heal: await placeToHealFrom(deps, heal, place)};
  const operation = await startOperation(
    deps,
    {do: 'dbverify', place, ...extent, ...healing, ...chosen},
    {kind: 'verify', subject: {kind: 'databases'}, shared: true, statement: text},
  );
  return {operation, notices: noticesOf(notice)};
}

/** A restore on trial of the newest backup, or of the newest one at or before a timestamp. */
async function verifyByRestore(
  deps: Deps,
  {timestamp, text, queries}: {timestamp: string | undefined; text: string; queries: string | undefined},
): Promise<StatementResult> {
  const {notice, ...drill} = await withVault(
    {deps, place: await objectPlace(deps)},
    {create: false},
    async (vault, place) => {
      const {found, notice} = await backupAt(deps, {place, vault}, {timestamp});
      return {body: found.body, place, notice};
    },
  );
  const {operation} = await startDatabaseDrill(deps, {...drill, queries, statement: text});
  return {...(operation === undefined ? {} : {operation}), notices: noticesOf(notice)};
}
