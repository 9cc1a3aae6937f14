import {sameStore} from '../../config/index.ts';
import {isBackupKind, type Operation, operationId, subjectText} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {type Check, tried} from '../health/check.ts';
import type {StoreFolders} from '../health/store-folders.ts';
import {allOperations} from '../orders/all-operations.ts';
import {collectionSubject, databaseSubject} from '../orders/start.ts';
import {orderOf} from '../orders/work-order.ts';
import {placesOf} from '../places/places.ts';

type Sort = 'backup' | 'verification' | 'drill' | 'comparison';

/** Operations of each sort whose newest attempt failed, of what still exists. */
export function checkLastOperations(deps: Deps, folders: StoreFolders): Promise<Check[]> {
  return tried('backups', async () => {
    const present = await presentThings(deps, folders);
    const newest = new Map<string, {sort: Sort; operation: Operation}>();
    for (const operation of await allOperations(await deps.journal())) {
      const sort = operation.state.name === 'done' ? sortOf(operation) : undefined;
      if (sort === undefined || !present(operation, sort)) continue;
      newest.set(`${sort} ${subjectText(operation.subject)}`, {sort, operation});
    }
    return [...newest.values()].flatMap(({sort, operation}): Check[] => {
      const {state, subject} = operation;
      if (state.name !== 'done' || state.outcome.status !== 'ERROR') return [];
      const id = operationId(operation);
      const of = subject.kind === 'databases' ? 'the databases' : subjectText(subject);
      const detail = `the last ${sort} of ${of} failed (${id}): ${state.outcome.error.message}`;
      return [{what: sort === 'backup' ? 'backups' : 'proof', ok: false, detail, next: `bkp operation get ${id}`}];
    });
  });
}

/** A drill may fail although every byte is as it was written, so a VERIFY that passes later does not hide it. */
function sortOf(operation: Operation): Sort | undefined {
  if (isBackupKind(operation.kind)) return 'backup';
  switch (orderOf(operation)?.do) {
    case 'verify':
    case 'dbverify':
      return 'verification';
    case 'drill':
    case 'dbdrill':
      return 'drill';
    case 'compare':
      return 'comparison';
    default:
      return undefined;
  }
}

/** Whether an operation is about what the profile has now: the journal is that of the home. */
async function presentThings(deps: Deps, known: StoreFolders): Promise<(operation: Operation, sort: Sort) => boolean> {
  const subjects = new Set<string>(['databases']);
  const {source} = await deps.settings();
  if (source !== undefined) subjects.add(subjectText(databaseSubject(source)));
  const places = await placesOf(deps);
  for (const place of places) {
    const folders = (await known.of(place).catch(() => undefined)) ?? [];
    for (const {newest} of folders) {
      if (newest !== undefined && newest.dropped === undefined)
        subjects.add(subjectText(collectionSubject(newest.name)));
    }
  }
  return (operation, sort) => {
    if (!subjects.has(subjectText(operation.subject))) return false;
    if (sort === 'backup') return true;
    const order = orderOf(operation);
    return order !== undefined && places.some(({store}) => sameStore(order.place.store, store));
  };
}
