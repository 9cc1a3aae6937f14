import {BkpError} from '../../errors/index.ts';
import type {Key, Store} from '../../stores/index.ts';
import {removalsPrefix} from '../format/key.ts';
import {readRemovals} from '../indexes/removals.ts';
import {damagedVerdicts} from '../lease/verdict.ts';

/**
 * Errors of the small objects that no backup needs and that decide what is done with backups: notes of what a cleanup
 * was about to remove, and verdicts about backups that were interrupted.
 * @param verdicts those that complete listings found, by their prefix; what none of them covers is listed
 */
export async function damagedNotes(
  store: Store,
  verdicts: ReadonlyMap<string, readonly Key[]>,
): Promise<readonly BkpError[]> {
  const notes: Key[] = [];
  for await (const {key} of store.list(removalsPrefix)) notes.push(key);
  const removals = await readRemovals(store, notes);
  const unreadable = (await damagedVerdicts(store, verdicts)).map(
    (error) =>
      new BkpError(error.code, error.message, {
        cause: 'it says whether an interrupted backup counts; until it can be read, the backup does',
        next: `VERIFY shows whether the backup is complete; then remove ${error.context.key} from the store`,
        context: error.context,
      }),
  );
  return removals?.fault === undefined ? unreadable : [removals.fault, ...unreadable];
}
