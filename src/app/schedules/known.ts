import {
  type BackupPlan,
  type BackupType,
  isDatabaseOf,
  listScheduled,
  needsFull,
  type PresentDatabase,
  presentDatabase,
  type ScheduledCollection,
} from '../../collections/index.ts';
import {describeStore, sameStore} from '../../config/index.ts';
import {BkpError, unreachable} from '../../errors/index.ts';
import {
  isSameSubject,
  type Operation,
  type OperationKind,
  type OperationNumber,
  operationId,
  type Subject,
  subjectText,
} from '../../ops/index.ts';
import {backupCollection, backupDatabase, type Statement, verifyCollection, verifyDatabase} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import type {StoreFolders} from '../health/store-folders.ts';
import {collectionSubject, databaseSubject} from '../orders/start.ts';
import {orderOf, type WorkOrder} from '../orders/work-order.ts';
import {placesOf, withVaultIfAny} from '../places/places.ts';
import {withSource} from '../places/source-places.ts';
import {requireSource, type Workplace} from '../places/workplace.ts';
import type {Situation} from './decide.ts';
import {type ScheduledDatabase, scheduledDatabase} from './known-database.ts';

/** What is done at the times of a schedule: a backup, a verification of the data, or a restore on trial. */
export type Task = 'backup' | 'verify' | 'drill';

/** A collection with a schedule, and where it is stored. */
type OfCollection = {deps: Deps; place: Workplace; collection: ScheduledCollection; task: Task};

/** All that has a schedule. */
export type Scheduled = OfCollection | ScheduledDatabase;

const isCollection = (scheduled: Scheduled): scheduled is OfCollection => 'collection' in scheduled;

export function taskOf(scheduled: Scheduled): Task {
  if (isCollection(scheduled)) return scheduled.task;
  if (scheduled.drill !== undefined) return 'drill';
  return scheduled.verify === undefined ? 'backup' : 'verify';
}

/** Its name in messages. */
export function nameOf(scheduled: Scheduled): string {
  const task = taskOf(scheduled);
  const name = isCollection(scheduled)
    ? scheduled.collection.name
    : subjectText(databaseSubject(requireSource(scheduled.place)));
  return task === 'backup' ? name : `${name} (${task})`;
}

/** The statement that does it. @param take of a backup of a collection */
export function statementOf(scheduled: Scheduled, take: BackupType): Statement {
  const task = taskOf(scheduled);
  const budgetIs = (value: string | undefined) => (value === undefined ? [] : [{key: 'BUDGET', value}]);
  if (!isCollection(scheduled)) {
    if (task === 'drill') return verifyDatabase([{key: 'LEVEL', value: 'restore'}]);
    return scheduled.verify === undefined ? backupDatabase : verifyDatabase(budgetIs(scheduled.verify.budget));
  }
  const {name, plan} = scheduled.collection;
  switch (task) {
    case 'backup':
      return backupCollection(name, take === 'full' ? 'full' : 'incremental-or-full');
    case 'verify':
      return verifyCollection(name, budgetIs(plan.verifyBudget));
    case 'drill':
      return verifyCollection(name, [{key: 'LEVEL', value: 'restore'}]);
    default:
      return unreachable(task);
  }
}

/** Undefined for a whole database. */
export const collectionOf = (scheduled: Scheduled) => (isCollection(scheduled) ? scheduled.collection : undefined);

export const planOf = (scheduled: Scheduled): BackupPlan =>
  isCollection(scheduled) ? planOfTask(scheduled) : scheduled.plan;

function planOfTask({collection: {plan}, task}: OfCollection): BackupPlan {
  const {scheduleVerify, scheduleDrill, scheduleZone} = plan;
  const schedule = task === 'verify' ? scheduleVerify : scheduleDrill;
  if (task === 'backup') return plan;
  const zone = scheduleZone === undefined ? {} : {scheduleZone};
  return {incremental: false, ...zone, ...(schedule === undefined ? {} : {schedule})};
}

/** Without a backup there is nothing to verify. */
function tasksOf({plan, newestMs}: ScheduledCollection): Task[] {
  const tasks: Task[] = [];
  if ((plan.schedule ?? plan.scheduleFull) !== undefined) tasks.push('backup');
  if (plan.scheduleVerify !== undefined && newestMs !== undefined) tasks.push('verify');
  if (plan.scheduleDrill !== undefined && newestMs !== undefined) tasks.push('drill');
  return tasks;
}

/** More operations than this are hardly started between two backups of one collection. */
const operationsSeen = 100;

/** `others`: collections whose backups are of another database than the profile's. */
export type Found = {scheduled: readonly Scheduled[]; others: readonly OfCollection[]};

/**
 * Collections by name, and after them the database itself.
 * @param folders absent: it reads them
 */
export async function scheduledOf(deps: Deps, folders?: StoreFolders): Promise<Found> {
  const database = await scheduledDatabase(deps);
  const {scheduled, others} = await collectionsOf(deps, folders);
  return {scheduled: [...scheduled, ...database], others};
}

/**
 * The collections of every store of the profile. Skips a collection that an earlier store also has, because it
 * is a copy here, and one of another database: several machines may share a store, and each has its own
 * scheduler.
 */
async function collectionsOf(
  deps: Deps,
  folders: StoreFolders | undefined,
): Promise<{scheduled: OfCollection[]; others: OfCollection[]}> {
  const seen: OfCollection[] = [];
  const places = await placesOf(deps);
  for (const place of places) {
    try {
      await withVaultIfAny(deps, place, async (vault) => {
        for (const collection of await listScheduled(vault, await folders?.of(place))) {
          if (seen.some((other) => other.collection.name === collection.name)) continue;
          seen.push({deps, place, collection, task: 'backup'});
        }
      });
    } catch (error) {
      // Its vault is missing for now; missed runs are made up for when it is back. The other store's schedules
      // continue.
      if (!(error instanceof BkpError) || error.context.missing !== 'vault') throw error;
      deps.warn(`its schedules are left out: ${error.message}`);
    }
  }
  if (seen.length === 0) return {scheduled: [], others: []};
  const own = await databaseOf(deps, places[0]);
  const scheduled: OfCollection[] = [];
  const others: OfCollection[] = [];
  for (const one of seen) {
    const {id, source} = one.collection;
    const isOwn = source === undefined || (await isDatabaseOf(source, own, id));
    if (isOwn) scheduled.push(...tasksOf(one.collection).map((task) => ({...one, task})));
    else others.push(one);
  }
  return {scheduled, others};
}

/** @throws BkpError `USAGE` when the profile has no source */
async function databaseOf(deps: Deps, place: Workplace): Promise<PresentDatabase> {
  const address = requireSource(place);
  try {
    return await withSource(deps, place, async (source) => presentDatabase(source));
  } catch (error) {
    // A source that is temporarily unavailable keeps its schedules; the backup will report the error. Not every
    // kind of source has collections.
    if (error instanceof BkpError) return {description: address, tracks: async () => false};
    throw error;
  }
}

/** Distinguishes equal names in several profiles. */
export const keyOf = (scheduled: Scheduled) =>
  `${describeStore(scheduled.place.store)} ${subjectText(subjectOf(scheduled))} ${taskOf(scheduled)}`;

const subjectOf = (scheduled: Scheduled) =>
  isCollection(scheduled)
    ? collectionSubject(scheduled.collection.name)
    : databaseSubject(requireSource(scheduled.place));

/** The subject of VERIFY DATABASE. */
const databases: Subject = {kind: 'databases'};

/** A scheduler's last attempt; without an operation the backup was refused immediately and is not in the journal. */
export type Try = {atMs: number; operation?: OperationNumber | undefined};

export async function situationOf(scheduled: Scheduled, tried?: Try): Promise<Situation> {
  const {plan, createdAtMs, newestMs, chainMs} = factsOf(scheduled);
  const last = await lastOperation(scheduled);
  const isChainBroken =
    last?.kind === 'incbackup' &&
    last.state.name === 'done' &&
    last.state.outcome.status === 'ERROR' &&
    needsFull(last.state.outcome.error.code);
  // After a broken chain the full backup is due immediately, not at the next scheduled time.
  const attemptsMs: number[] = [];
  if (last !== undefined && !isChainBroken) attemptsMs.push(last.createdAtMicros / 1000);
  if (tried !== undefined && !(isChainBroken && tried.operation === last.number)) attemptsMs.push(tried.atMs);
  return {
    plan,
    isChainBroken,
    ...(createdAtMs === undefined ? {} : {createdAtMs}),
    ...(newestMs === undefined ? {} : {newestMs}),
    ...(chainMs === undefined ? {} : {chainMs}),
    attemptsMs,
  };
}

function factsOf(scheduled: Scheduled): Pick<Situation, 'plan' | 'createdAtMs' | 'newestMs' | 'chainMs'> {
  const plan = planOf(scheduled);
  if (!isCollection(scheduled)) {
    const {verify, drill} = scheduled;
    const newestMs = drill === undefined ? scheduled.newestMs : drill.lastMs;
    const firstMs = (drill ?? verify)?.firstMs;
    return {
      plan,
      ...(newestMs === undefined ? {} : {newestMs}),
      ...(firstMs === undefined ? {} : {createdAtMs: firstMs}),
    };
  }
  const {collection, task} = scheduled;
  if (task === 'backup') return {...collection, plan};
  const {createdAtMs, drillMs} = collection;
  return {plan, createdAtMs, ...(task === 'drill' && drillMs !== undefined ? {newestMs: drillMs} : {})};
}

const kindsOf: Record<Task, readonly OperationKind[]> = {
  backup: ['fullbackup', 'incbackup', 'dbbackup'],
  verify: ['verify'],
  drill: ['verify'],
};

/** Whether an order is one of the task: a VERIFY of one backup, or of the structure alone, is not. */
function doesTask(task: Task, order: WorkOrder): boolean {
  switch (task) {
    case 'backup':
      return true;
    case 'verify':
      return (order.do === 'verify' || order.do === 'dbverify') && order.backup === undefined && order.level === 'data';
    case 'drill':
      return order.do === 'drill' || order.do === 'dbdrill';
    default:
      return unreachable(task);
  }
}

/** The newest operation of this home that did the task. */
async function lastOperation(scheduled: Scheduled): Promise<Operation | undefined> {
  const {deps, place} = scheduled;
  const journal = await deps.journal();
  const task = taskOf(scheduled);
  const kinds = kindsOf[task];
  const wanted = isCollection(scheduled) || task === 'backup' ? subjectOf(scheduled) : databases;
  const {operations} = await journal.list({kinds, page: 1, pageSize: operationsSeen});
  return operations.find((operation) => {
    const order = isSameSubject(operation.subject, wanted) ? orderOf(operation) : undefined;
    return order !== undefined && doesTask(task, order) && sameStore(order.place.store, place.store);
  });
}

/**
 * The id of a running operation that does the same verification: several could run at the same time, unlike backups.
 */
export async function openTask(scheduled: Scheduled): Promise<string | undefined> {
  if (taskOf(scheduled) === 'backup') return undefined;
  const last = await lastOperation(scheduled);
  return last === undefined || last.state.name === 'done' ? undefined : operationId(last);
}
