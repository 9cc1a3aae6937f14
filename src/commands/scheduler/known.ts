import {listScheduled, type ScheduledCollection} from '../../collections/index.ts';
import {describeStore, sameStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Operation, OperationNumber} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {placesOf, withVaultIfAny} from '../places.ts';
import type {WorkOrder} from '../worker/order.ts';
import {collectionSubject} from '../worker/start.ts';
import {type Workplace, withSource} from '../workplace.ts';
import type {Situation} from './decide.ts';

/** A collection with a schedule, and where it lies. */
export type Scheduled = {deps: Deps; place: Workplace; collection: ScheduledCollection};

/** More operations than this are hardly started between two backups of one collection. */
const operationsSeen = 100;

/** `others`: collections whose backups are of another database than the profile's. */
export type Found = {scheduled: readonly Scheduled[]; others: readonly Scheduled[]};

/**
 * Those of every store of the profile. A collection that an earlier store has too is a copy here, and left alone. So is one of
 * another database: several machines may share a store, and each has a scheduler of its own.
 */
export async function scheduledOf(deps: Deps): Promise<Found> {
  const seen: Scheduled[] = [];
  const places = await placesOf(deps);
  for (const place of places) {
    await withVaultIfAny(deps, place, async (vault) => {
      for (const collection of await listScheduled(vault)) {
        if (seen.every((other) => other.collection.name !== collection.name)) seen.push({deps, place, collection});
      }
    });
  }
  if (seen.length === 0) return {scheduled: [], others: []};
  const own = await databaseOf(places[0]);
  const isOwn = ({collection: {source}}: Scheduled) =>
    source === undefined ||
    source.description === own.description ||
    (own.identity !== undefined && source.identity === own.identity);
  return {scheduled: seen.filter(isOwn), others: seen.filter((one) => !isOwn(one))};
}

/** @throws BkpError `USAGE` when the profile has no source */
function databaseOf(place: Workplace): Promise<{description: string; identity?: string}> {
  return withSource(place, async (source) => {
    const {description} = source;
    try {
      const identity = source.identity();
      return {description, ...(identity === undefined ? {} : {identity})};
    } catch (error) {
      // A database that is away for the moment keeps its schedule: the backup will tell.
      if (error instanceof BkpError) return {description};
      throw error;
    }
  });
}

/** Tells collections of one name in several profiles apart. */
export const keyOf = ({place, collection}: Scheduled) => `${describeStore(place.store)} ${collection.name}`;

/** When a scheduler last tried; without an operation the backup was refused at once, and the journal knows nothing of it. */
export type Try = {atMs: number; operation?: OperationNumber | undefined};

/** What an increment fails with again and again, until a full backup begins a new chain. */
export function needsFull(code: string): boolean {
  return code === 'CHAIN_BROKEN' || code === 'OBJECT_DAMAGED' || code === 'OBJECT_MISSING';
}

export async function situationOf(scheduled: Scheduled, tried?: Try): Promise<Situation> {
  const {plan, createdAtMs, newestMs, chainMs} = scheduled.collection;
  const last = await lastBackup(scheduled);
  const isChainBroken =
    last?.kind === 'incbackup' &&
    last.state.name === 'done' &&
    last.state.outcome.status === 'ERROR' &&
    needsFull(last.state.outcome.error.code);
  // A broken chain does not wait for the next moment: the full backup that is needed makes up for it.
  const attemptsMs: number[] = [];
  if (last !== undefined && !isChainBroken) attemptsMs.push(last.createdAtMicros / 1000);
  if (tried !== undefined && !(isChainBroken && tried.operation === last.number)) attemptsMs.push(tried.atMs);
  return {
    plan,
    createdAtMs,
    isChainBroken,
    ...(newestMs === undefined ? {} : {newestMs}),
    ...(chainMs === undefined ? {} : {chainMs}),
    attemptsMs,
  };
}

/** The newest operation of this home that backs the collection up. */
async function lastBackup({deps, place, collection}: Scheduled): Promise<Operation | undefined> {
  const journal = await deps.journal();
  const kinds = ['fullbackup', 'incbackup'] as const;
  return journal
    .list({kinds, page: 1, pageSize: operationsSeen})
    .operations.find(
      ({subject, work}) =>
        subject === collectionSubject(collection.name) && sameStore((work as WorkOrder).place.store, place.store),
    );
}
