import {BkpError} from '../../errors/index.ts';
import {systemProcesses} from '../../lib/processes.ts';
import {operationId} from '../../ops/index.ts';
import {openCheckpointSource} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {openOn} from '../orders/busy.ts';
import {databaseSubject} from '../orders/start.ts';
import {placesOf} from '../places/places.ts';
import {sourceSpecOf} from '../places/source-places.ts';
import {requireSource} from '../places/workplace.ts';
import type {StatementOf, StatementResult} from './result.ts';

/** The server's own checkpoint, for a user who copies its files with another program. */
export async function checkpoint(deps: Deps, {action}: StatementOf<'checkpoint'>): Promise<StatementResult> {
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
      return {notices: ['no checkpoint is held now']};
    }
    await source.createCheckpoint();
    return {notices: ['a checkpoint is held until CHECKPOINT RELEASE, and there is no backup meanwhile']};
  } finally {
    await source.close();
  }
}
