import {resolve} from 'node:path';
import {
  backupMicros,
  findDatabaseBackup,
  planDatabaseBackup,
  planDatabaseRestore,
  timestampText,
} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {parseTimestamp} from '../../lib/timestamp.ts';
import {type Operation, operationId, systemProcesses} from '../../ops/index.ts';
import {capabilitiesOf, type DatabaseMoment, openCheckpointSource, openFileTarget} from '../../sources/index.ts';
import {type Statement, tableName} from '../../sql/index.ts';
import type {VerifyLevel} from '../../vault/index.ts';
import {type ResultRows, startedRow} from '../answers.ts';
import type {Deps} from '../deps.ts';
import {openOn} from '../orders/busy.ts';
import {targetOf} from '../orders/database-order.ts';
import {startOperation} from '../orders/start.ts';
import {meantInstance} from '../places/own-instance.ts';
import {objectPlace, placesOf} from '../places/places.ts';
import {sourceSpecOf, withFileSource} from '../places/source-places.ts';
import {requireSource, type Workplace, withVault} from '../places/workplace.ts';
import {adoptValue} from './adopt.ts';

type Of<K extends Statement['kind']> = Extract<Statement, {kind: K}>;
type Started = {operation?: Operation; rows: ResultRows; notice?: string};

/** Its answer is the one of the original: the backup's timestamp, at once. */
export async function backupDatabase(deps: Deps, statement: Of<'backup-database'>): Promise<Started> {
  const adopt = adoptValue(statement.settings, 'BACKUP DATABASE', 'gentle-forest-orchid');
  const adopting = adopt === undefined ? {} : {adopt};
  const place = await objectPlace(deps);
  const subject = databaseSubject(requireSource(place));
  const running = await openOn(deps, subject);
  if (running !== undefined) {
    throw new BkpError('BUSY', 'a backup of this database is in progress', {
      cause: `${operationId(running)} began with ${running.statement}`,
      next: 'BACKUP ABORT ends it; SELECT * FROM backups() shows how far it is',
    });
  }
  const {keepLatest} = await deps.settings();
  return withVault({deps, place}, {create: true}, async (vault) => {
    const nowMicros = deps.nowMicros();
    const {name} = await withFileSource(deps, place, (source) =>
      planDatabaseBackup(vault, source, {...adopting, nowMicros}),
    );
    const timestamp = timestampText(backupMicros(name));
    const operation = await startOperation(
      deps,
      {do: 'dbbackup', place, name, keepLatest, ...adopting},
      {kind: 'dbbackup', subject, shared: false, statement: statement.text, backup: timestamp},
    );
    return {operation, rows: {columns: [{name: 'backup_timestamp'}], rows: [[timestamp]]}};
  });
}

/** `not running` is an answer, not an error. */
export async function abortBackup(deps: Deps): Promise<Started> {
  const running = await openOn(deps, databaseSubject(requireSource(await objectPlace(deps))));
  const columns = [{name: 'status'}, {name: 'backup_id'}];
  if (running === undefined) return {rows: {columns, rows: [['not running', null]]}};
  const journal = await deps.journal();
  await journal.requestCancel(running.number);
  return {rows: {columns, rows: [['aborted', running.backup ?? null]]}};
}

/** As the server has it: for somebody who copies its files in another way. */
export async function checkpoint(deps: Deps, {action}: Of<'checkpoint'>): Promise<{notice: string}> {
  const [place] = await placesOf(deps);
  const source = await openCheckpointSource(await sourceSpecOf(deps, place), systemProcesses);
  try {
    const running = await openOn(deps, databaseSubject(requireSource(place)));
    if (running !== undefined) {
      throw new BkpError('BUSY', 'a backup of this database is in progress, under a checkpoint of its own', {
        cause: `${operationId(running)} began with ${running.statement}`,
        next: 'wait until it ends, or end it with BACKUP ABORT',
      });
    }
    if (action === 'release') {
      await source.releaseCheckpoint();
      return {notice: 'no checkpoint is held now'};
    }
    await source.createCheckpoint();
    return {notice: 'a checkpoint is held until CHECKPOINT RELEASE, and there is no backup meanwhile'};
  } finally {
    await source.close();
  }
}

export type RestoreWish = {
  instance?: string;
  timestamp?: string;
  tables?: readonly string[];
  /** As typed; relative to the working directory. */
  target: string;
  /** Also the server's configuration. */
  withConf?: boolean;
  statement: string;
};

/** What is in the way is refused before anything is started. */
export async function restoreDatabaseInto(deps: Deps, wish: RestoreWish): Promise<Started> {
  const {place, request, plan} = await planRestoreInto(deps, wish, {fetchBytes: false});
  if (plan.inTheWay !== undefined) throw new BkpError('TABLE_EXISTS', plan.inTheWay, {next: 'name an empty place'});
  // Before anything is started: a server that hangs then holds up the statement, and no restore that nobody was told of.
  const notice = await versionNotice(deps, place, plan.database);
  const operation = await startOperation(
    deps,
    {do: 'dbrestore', place, request, product: plan.database.product},
    {
      kind: 'dbrestore',
      subject: `target ${request.target}`,
      shared: false,
      statement: wish.statement,
      backup: `${plan.instance}/${timestampText(backupMicros(plan.backup))}`,
    },
  );
  return {operation, rows: startedRow(operation, operation.backup), ...(notice === undefined ? {} : {notice})};
}

/**
 * A server opens what its own major version wrote. The one that will open the target is not known here; the one that is the
 * source most probably is of its kind.
 */
export async function versionNotice(
  deps: Deps,
  place: Workplace,
  {product, version}: DatabaseMoment,
): Promise<string | undefined> {
  const {title, needsSameMajor} = capabilitiesOf(product);
  if (!needsSameMajor || place.source === undefined) return undefined;
  const spec = await sourceSpecOf(deps, place);
  if (spec.scheme !== product) return undefined;
  const source = await openCheckpointSource(spec);
  const running = await source.version().finally(() => source.close());
  const major = (text: string) => text.split('.')[0];
  if (running === undefined || version === 'unknown' || major(running) === major(version)) return undefined;
  return `the backup is of ${title} ${version}, and the source runs ${running}: start the restored root with version ${major(version)}`;
}

/** The plan with what the target's place has to say; nothing is written. */
export async function planRestoreInto(deps: Deps, wish: RestoreWish, options: {fetchBytes: boolean}) {
  const place = await objectPlace(deps);
  const {instance, tables, timestamp, withConf} = wish;
  if (wish.target.trim() === '')
    throw new BkpError('USAGE', 'the place to restore into is empty', {next: "INTO './new.db'"});
  const asked = {
    ...(timestamp === undefined ? {} : {at: parseTimestamp(timestamp)}),
    ...(tables === undefined ? {} : {tables}),
    ...(withConf === undefined ? {} : {optional: withConf}),
  };
  return withVault({deps, place}, {create: false}, async (vault) => {
    const meant = instance ?? (await meantInstance(deps, place, vault));
    const wanted = {...asked, ...(meant === undefined ? {} : {instance: meant})};
    const {body} = await findDatabaseBackup(vault, wanted);
    // The worker restores this one, whatever backup is the newest when it comes to it.
    const request = {...wanted, instance: body.instance, at: backupMicros(body.backup), target: resolve(wish.target)};
    const plan = await planDatabaseRestore(
      {vault, target: await openFileTarget(body.database.product, targetOf(request))},
      request,
      options,
    );
    return {place, request, plan};
  });
}

export function restoreDatabaseStatement(deps: Deps, statement: Of<'restore-database'>): Promise<Started> {
  const {tables, timestamp, target, text} = statement;
  return restoreDatabaseInto(deps, {
    target,
    statement: text,
    ...(tables === undefined ? {} : {tables: tables.map((table) => tableName(table))}),
    ...(timestamp === undefined ? {} : {timestamp}),
  });
}

/** All backups of the store, or the one at or before a moment. */
export async function verifyDatabase(
  deps: Deps,
  {timestamp, text}: Of<'verify-database'>,
  level: VerifyLevel,
): Promise<Started> {
  const place = await objectPlace(deps);
  return withVault({deps, place}, {create: false}, async (vault) => {
    const meant = await meantInstance(deps, place, vault);
    const whose = meant === undefined ? {} : {instance: meant};
    const one =
      timestamp === undefined ? undefined : await findDatabaseBackup(vault, {...whose, at: parseTimestamp(timestamp)});
    const chosen = one === undefined ? {} : {instance: one.body.instance, backup: one.body.backup};
    const operation = await startOperation(
      deps,
      {do: 'dbverify', place, level, ...chosen},
      {kind: 'verify', subject: 'databases', shared: true, statement: text},
    );
    return {operation, rows: startedRow(operation)};
  });
}

/** Of the operations that back a database up. @param source as the settings hold it */
export const databaseSubject = (source: string) => `database ${source}`;
