import {formatCount} from '../../../lib/figures.ts';
import type {SourceCheck, TableName} from '../../source.ts';
import {relationsOf, trackingObstacle} from '../catalog/describe.ts';
import type {Connection} from '../connection/connection.ts';
import {grantsToType, type MissingRight, missingToRead, missingToTrack} from './missing.ts';
import {rightsIn, rightsOn} from './rights.ts';
import {type TrackingMode, whyScanned} from './tracking-mode.ts';

export type Needed = {
  /** The tables that backups read. */
  read: readonly TableName[] | 'all';
  /** Of these, the tables that need increments. */
  track: readonly TableName[] | 'all';
};

/** Whether the role may do what collections of these tables need, each with the statements that allow it. */
export async function inspectRights(
  connection: Connection,
  {read, track}: Needed,
  mode: TrackingMode,
): Promise<readonly SourceCheck[]> {
  const relations = await relationsOf(connection, read);
  const isTracked = new Set((await relationsOf(connection, track)).map(({name}) => name));
  const [ofTables, ofDatabase] = [await rightsOn(connection, relations), await rightsIn(connection)];
  const toRead = missingToRead(ofTables, ofDatabase);
  const count = relations.length === 1 ? '1 table' : `${relations.length} tables`;
  const reading: readonly SourceCheck[] =
    toRead.length === 0
      ? [{what: 'rights', ok: true, detail: `role ${ofDatabase.role} may read ${count}`}]
      : toRead.map((missing) => ({what: 'rights', ok: false, ...textOf(missing)}));
  return [...reading, ...trackingChecks()];

  function trackingChecks(): readonly SourceCheck[] {
    const what = 'increments';
    // What `triggers` refuses is a result here.
    const scanned = whyScanned(connection, mode === 'triggers' ? 'auto' : mode);
    const trackable = relations.filter((relation) => trackingObstacle(relation) === undefined).map(({name}) => name);
    const wanted = ofTables.filter(({table}) => isTracked.has(table) && trackable.includes(table));
    const toTrack = missingToTrack(wanted, ofDatabase);
    if (wanted.length === 0) return [{what, ok: true, detail: 'no collection needs them'}];
    const keyless = relations.length - trackable.length;
    const some = keyless === 0 ? '' : `; ${keyless} without a primary key or unlogged come with all rows`;
    const tables = formatCount(wanted.length, 'table');
    if (scanned !== undefined) {
      return [{what, ok: true, detail: `changes of ${tables} are found by reading, because ${scanned}${some}`}];
    }
    if (toTrack.length > 0) {
      const otherwise = ' or set tracking=scan in the source, which finds changes by reading';
      return toTrack.map((missing) => ({what, ok: false, ...textOf(missing, otherwise)}));
    }
    return [{what, ok: true, detail: `changes of ${tables} can be tracked by triggers${some}`}];
  }
}

function textOf(missing: MissingRight, otherwise = ''): {detail: string; next: string} {
  const {message, cause} = missing;
  return {detail: cause === undefined ? message : `${message}: ${cause}`, next: grantsToType([missing], otherwise)};
}
