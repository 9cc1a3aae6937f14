import {
  isDatabaseOf,
  listScheduled,
  needsFull,
  type PresentDatabase,
  presentDatabase,
  type ScheduledCollection,
} from '../../collections/index.ts';
import {describeStore, sameStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {isSameSubject, type Operation, type OperationKind, type OperationNumber, subjectText} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {collectionSubject, databaseSubject} from '../orders/start.ts';
import {orderOf} from '../orders/work-order.ts';
import {placesOf, withVaultIfAny} from '../places/places.ts';
import {withSource} from '../places/source-places.ts';
import {requireSource, type Workplace} from '../places/workplace.ts';
import type {Situation} from './decide.ts';
import {type ScheduledDatabase, scheduledDatabase} from './known-database.ts';

/** A collection with a schedule, and where it is stored. */
type OfCollection = {deps: Deps; place: Workplace; collection: ScheduledCollection};

/** All that has a schedule. */
export type Scheduled = OfCollection | ScheduledDatabase;

const isCollection = (scheduled: Scheduled): scheduled is OfCollection => 'collection' in scheduled;

/** Its name in messages. */
export const nameOf = (scheduled: Scheduled) =>
  isCollection(scheduled) ? scheduled.collection.name : subjectText(databaseSubject(requireSource(scheduled.place)));

/** Undefined for a whole database. */
export const collectionOf = (scheduled: Scheduled) => (isCollection(scheduled) ? scheduled.collection : undefined);

export const planOf = (scheduled: Scheduled) => (isCollection(scheduled) ? scheduled.collection.plan : scheduled.plan);

/** More operations than this are hardly started between two backups of one collection. */
const operationsSeen = 100;

/** `others`: collections whose backups are of another database than the profile's. */
export type Found = {scheduled: readonly Scheduled[]; others: readonly OfCollection[]};

/** Collections by name, and after them the database itself. */
export async function scheduledOf(deps: Deps): Promise<Found> {
  const database = await scheduledDatabase(deps);
  const {scheduled, others} = await collectionsOf(deps);
  return {scheduled: [...scheduled, ...(database === undefined ? [] : [database])], others};
}

/**
 * The collections of every store of the profile. Skips a collection that an earlier store also has, because it
 * is a copy here, and one of another database: several machines may share a store, and each has its own
 * scheduler.
 */
async function collectionsOf(deps: Deps): Promise<{scheduled: OfCollection[]; others: OfCollection[]}> {
  const seen: OfCollection[] = [];
  const places = await placesOf(deps);
  for (const place of places) {
    try {
      await withVaultIfAny(deps, place, async (vault) => {
        for (const collection of await listScheduled(vault)) {
          if (seen.every((other) => other.collection.name !== collection.name)) seen.push({deps, place, collection});
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
    (isOwn ? scheduled : others).push(one);
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
  `${describeStore(scheduled.place.store)} ${subjectText(subjectOf(scheduled))}`;

const subjectOf = (scheduled: Scheduled) =>
  isCollection(scheduled)
    ? collectionSubject(scheduled.collection.name)
    : databaseSubject(requireSource(scheduled.place));

/** A scheduler's last attempt; without an operation the backup was refused immediately and is not in the journal. */
export type Try = {atMs: number; operation?: OperationNumber | undefined};

export async function situationOf(scheduled: Scheduled, tried?: Try): Promise<Situation> {
  const {plan, createdAtMs, newestMs, chainMs} = factsOf(scheduled);
  const last = await lastBackup(scheduled);
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
  if (isCollection(scheduled)) return scheduled.collection;
  const {plan, newestMs} = scheduled;
  return newestMs === undefined ? {plan} : {plan, newestMs};
}

/** The newest backup operation of this home for it. */
async function lastBackup(scheduled: Scheduled): Promise<Operation | undefined> {
  const {deps, place} = scheduled;
  const journal = await deps.journal();
  const kinds: OperationKind[] = isCollection(scheduled) ? ['fullbackup', 'incbackup'] : ['dbbackup'];
  const wanted = subjectOf(scheduled);
  const {operations} = await journal.list({kinds, page: 1, pageSize: operationsSeen});
  return operations.find((operation) => {
    const order = isSameSubject(operation.subject, wanted) ? orderOf(operation) : undefined;
    return order !== undefined && sameStore(order.place.store, place.store);
  });
}
