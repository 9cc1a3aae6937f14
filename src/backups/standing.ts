import {BkpError} from '../errors/index.ts';
import {mapConcurrent} from '../lib/async.ts';
import {isDamage, type Recipe, type Survey, type SurveyOptions} from '../vault/index.ts';

/**
 * What manifests and listings show of one backup, without reading its data.
 * - `sound`: nothing is known to be missing or damaged. Only VERIFY reads the data itself.
 * - `damaged`: its manifest is missing or damaged (`backup` is then absent), or something that it needs is.
 * - `future`: a newer bkp wrote its manifest.
 * - `unknown`: its manifest could not be read for another reason, e.g. the store did not answer.
 */
export type Standing<Backup> =
  | {state: 'sound'; backup: Backup; fault?: undefined}
  | {state: 'damaged'; backup?: Backup; fault: BkpError}
  | {state: 'future' | 'unknown'; backup?: undefined; fault: BkpError};

/** @param read reads the manifest and names the streams that a restore needs */
export async function standingOf<Backup>(
  survey: Pick<Survey, 'faultOf'>,
  read: () => Promise<{backup: Backup; streams: readonly Recipe[]}>,
  options: SurveyOptions = {},
): Promise<Standing<Backup>> {
  try {
    const {backup, streams} = await read();
    const fault = await survey.faultOf(streams, options);
    return fault === undefined ? {state: 'sound', backup} : {state: 'damaged', backup, fault};
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    if (error.code === 'STORE_REFUSED') return {state: 'future', fault: error};
    return {state: isDamage(error) ? 'damaged' : 'unknown', fault: error};
  }
}

/** Manifests that are read from the store at the same time. */
export const readsAtOnce = 8;

/** A collection's or a database's backups, summed up. */
export type LineStanding<Backup> = {
  backups: number;
  /** How many of them are damaged, or written by a newer bkp. */
  unreadable: number;
  /** The newest sound one; absent if there is none. */
  newest?: Backup;
  /** The newest sound one of which everything was read intact, the least recent byte at `verifiedMs`. */
  newestVerified?: {backup: Backup; verifiedMs: number};
};

/**
 * @param names oldest first
 * @param verifiedMs when everything that a backup needs was last read intact; undefined: never
 * @throws what made the standing of a backup unknown
 */
export async function lineStanding<Name, Backup>(
  names: readonly Name[],
  examine: (name: Name) => Promise<Standing<Backup>>,
  verifiedMs: (backup: Backup) => Promise<number | undefined>,
): Promise<LineStanding<Backup>> {
  const line: LineStanding<Backup> = {backups: names.length, unreadable: 0};
  for await (const standing of mapConcurrent(names.toReversed(), readsAtOnce, examine)) {
    switch (standing.state) {
      case 'sound':
        line.newest ??= standing.backup;
        if (line.newestVerified === undefined) {
          const atMs = await verifiedMs(standing.backup);
          if (atMs !== undefined) line.newestVerified = {backup: standing.backup, verifiedMs: atMs};
        }
        break;
      case 'damaged':
      case 'future':
        line.unreadable += 1;
        break;
      case 'unknown':
        throw standing.fault;
    }
  }
  return line;
}
