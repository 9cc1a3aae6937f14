import {BkpError} from '../../../errors/index.ts';
import type {TableName} from '../../source.ts';
import {relationsOf, trackingObstacle} from '../catalog/describe.ts';
import type {Connection} from '../connection/connection.ts';
import {grantsToType, type MissingRight, missingToRead, missingToTrack} from './missing.ts';
import {rightsIn, rightsOn} from './rights.ts';
import {type TrackingMode, whyScanned} from './tracking-mode.ts';

/**
 * See `TableSource.preflight`.
 * @throws BkpError `PRECONDITION`
 */
export async function preflight(
  connection: Connection,
  {tables, track, mode}: {tables: readonly TableName[]; track: boolean; mode: TrackingMode},
): Promise<void> {
  // A table that is absent is reported by others.
  const relations = await relationsOf(connection, tables);
  const [ofTables, ofDatabase] = [await rightsOn(connection, relations), await rightsIn(connection)];
  const toRead = missingToRead(ofTables, ofDatabase);
  if (toRead.length > 0) throw refusal(toRead);
  if (!track || whyScanned(connection, mode) !== undefined) return;
  const tracked = new Set(
    relations.filter((relation) => trackingObstacle(relation) === undefined).map(({name}) => name),
  );
  const toTrack = missingToTrack(
    ofTables.filter(({table}) => tracked.has(table)),
    ofDatabase,
  );
  if (toTrack.length > 0)
    throw refusal(toTrack, '; or set tracking=scan in the source, which finds changes by reading');
}

function refusal(missing: readonly MissingRight[], otherwise = ''): BkpError {
  const [{message, cause}] = missing as [MissingRight];
  return new BkpError('PRECONDITION', message, {
    cause,
    next: grantsToType(missing, otherwise),
  });
}
