import {absolutePath} from '../../config/index.ts';
import {backupMicros, planDatabaseRestore} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import {capabilitiesOf, type DatabaseMoment, openCheckpointSource, openFileTarget} from '../../sources/index.ts';
import {tableName} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import {startOperation} from '../orders/start.ts';
import {targetOf} from '../orders/work-order.ts';
import {objectPlace} from '../places/places.ts';
import {sourceSpecOf} from '../places/source-places.ts';
import {type Workplace, withVault} from '../places/workplace.ts';
import {backupAt} from './database-moment.ts';
import {noticesOf, type StatementOf, type StatementResult} from './result.ts';
import {databaseRestoreSettings} from './settings.ts';
import {shortage} from './shortage.ts';

export type RestoreWish = {
  instance?: string | undefined;
  timestamp?: string | undefined;
  tables?: readonly string[] | undefined;
  /** As typed; a relative path is resolved against the working directory. */
  target: string;
  /** Also the server's configuration. */
  withConf?: boolean | undefined;
  /** Without the tables that are damaged. */
  partial?: boolean | undefined;
  statement: string;
};

export async function restoreDatabaseStatement(
  deps: Deps,
  {tables, timestamp, target, settings, text}: StatementOf<'restore-database'>,
): Promise<StatementResult> {
  const {dryRun, partial} = databaseRestoreSettings(settings);
  const wish = {target, timestamp, tables: tables?.map((table) => tableName(table)), partial, statement: text};
  return dryRun ? databasePlan(deps, wish) : restoreDatabaseInto(deps, wish);
}

/** What a restore would do, and what blocks it. */
export async function databasePlan(deps: Deps, wish: RestoreWish): Promise<StatementResult> {
  const {place, request, plan, older} = await planRestoreInto(deps, wish, {fetchBytes: true});
  const notice = await versionNotice(deps, place, plan.database);
  const short = shortage({...plan, place: request.target});
  const notices = noticesOf(older, notice, short, ...(plan.database.leftOut ?? []));
  return {rows: {kind: 'database-restore-plan', plan}, notices};
}

/** @throws BkpError `TABLE_EXISTS` before anything is started when the target is not empty */
export async function restoreDatabaseInto(deps: Deps, wish: RestoreWish): Promise<StatementResult> {
  const {place, request, plan, older} = await planRestoreInto(deps, wish, {fetchBytes: false});
  if (plan.inTheWay !== undefined) {
    throw new BkpError('TABLE_EXISTS', plan.inTheWay, {next: plan.nextStep ?? 'name an empty place'});
  }
  // Asked before the operation exists: a server that hangs delays the statement, not a restore that the user
  // cannot see.
  const notice = await versionNotice(deps, place, plan.database);
  const operation = await startOperation(
    deps,
    {do: 'dbrestore', place, request, product: plan.database.product},
    {
      kind: 'dbrestore',
      subject: {kind: 'target', name: request.target},
      shared: false,
      statement: wish.statement,
      backup: `${plan.instance}/${microsText(backupMicros(plan.backup))}`,
    },
  );
  return {operation, notices: noticesOf(older, notice, shortage({...plan, place: request.target}))};
}

/**
 * A server opens what its own major version wrote. The server that will open the target is not known here; the
 * source's server is most probably of the same kind.
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
  const advice = `start the restored root with version ${major(version)}`;
  return `the backup is of ${title} ${version}, and the source runs ${running}: ${advice}`;
}

/** The plan, with whatever blocks the target; nothing is written. */
export async function planRestoreInto(deps: Deps, wish: RestoreWish, options: {fetchBytes: boolean}) {
  const objectStore = await objectPlace(deps);
  const {tables, withConf, partial} = wish;
  if (wish.target.trim() === '')
    throw new BkpError('USAGE', 'the place to restore into is empty', {next: "INTO './new.db'"});
  const asked = {
    ...(tables === undefined ? {} : {tables}),
    ...(withConf === undefined ? {} : {optional: withConf}),
    ...(partial ? {partial: true as const} : {}),
  };
  return withVault({deps, place: objectStore}, {create: false}, async (vault, place) => {
    const {found, notice} = await backupAt(deps, {place, vault}, wish);
    const {body} = found;
    // The worker restores exactly this backup, also when a newer one exists by then.
    const request = {
      ...asked,
      instance: body.instance,
      at: backupMicros(body.backup),
      target: absolutePath(wish.target, deps.cwd, 'target'),
    };
    const plan = await planDatabaseRestore(
      {vault, target: await openFileTarget(body.database.product, targetOf(request))},
      request,
      options,
    );
    return {place, request, plan, older: notice};
  });
}
