import {userInfo} from 'node:os';
import {profileName} from '../../config/index.ts';
import {type NewOperation, type Operation, operationId, type Subject} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import type {WorkOrder} from './work-order.ts';

/** What the journal shows of an operation before it starts. */
export type About = Pick<NewOperation, 'kind' | 'subject' | 'shared' | 'statement' | 'backup'>;

/**
 * Writes the operation into the journal and starts its worker.
 * @throws BkpError `BUSY` when another operation on the subject was created first
 */
export async function startOperation(deps: Deps, order: WorkOrder, about: About): Promise<Operation> {
  const work: WorkOrder = {...order, profile: await profileName(deps)};
  const journal = await deps.journal();
  const operation = await journal.create({...about, work, createdBy: userName(deps)});
  await deps.startWorker(operation);
  return operation;
}

/** A cleanup is shared: the name of a dropped collection is free immediately, while its cleanup still runs. */
export function startCleanup(
  deps: Deps,
  order: WorkOrder & {do: 'cleanup'},
  about: Pick<About, 'subject' | 'statement' | 'backup'>,
) {
  return startOperation(deps, order, {kind: 'cleanup', shared: true, ...about});
}

/**
 * The cleanup that KEEP_… settings require after a backup. The backup is complete even if the cleanup cannot be
 * started: the next backup starts one again.
 */
export async function startRetention(deps: Deps, order: WorkOrder & {do: 'backup'}, after: Operation): Promise<void> {
  const {place, collection} = order;
  const about = {subject: collectionSubject(collection), statement: `cleanup after ${operationId(after)}`};
  await startCleanup(deps, {do: 'cleanup', place, collection}, about);
}

/** Subject of all operations that change one collection. */
export function collectionSubject(collection: string): Subject {
  return {kind: 'collection', name: collection};
}

/** Subject of the backups of a whole database. @param source as the settings hold it */
export const databaseSubject = (source: string): Subject => ({kind: 'database', name: source});

/** cron sets LOGNAME; in an empty environment the system is asked, which may not know the name either. */
export function userName({env}: Deps): string {
  const named = env.USER ?? env.LOGNAME ?? env.USERNAME;
  if (named !== undefined) return named;
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
