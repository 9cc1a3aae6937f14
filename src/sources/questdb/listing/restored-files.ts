import {stat} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import type {DatabaseMoment} from '../../file-source.ts';
import {readControlFile} from '../format/bytes.ts';
import type {TableState} from '../format/table.ts';
import {LeftOut} from './left-out.ts';
import type {Listing} from './list-file.ts';
import {checkpointFolder, readCheckpointTables} from './live.ts';
import {lostTables} from './lost-tables.ts';
import {readStoppedTables} from './offline.ts';
import {listTable, listWholeTable} from './table-files.ts';
import {Turns} from './turns.ts';

/** What the files of a restored root say, before a server has opened it. */
export type RootFindings = {
  faults: readonly string[];
  /** Tables with files of kinds that this bkp does not know; one sentence each. */
  unknown: readonly string[];
  tables: readonly RestoredTable[];
  partitions: number;
  files: number;
};

export type RestoredTable = {
  name: string;
  rows: number;
  /** Why its rows may change when a server starts, as the end of a sentence; absent: they stay. */
  changes?: string | undefined;
};

/**
 * Lists a restored root again, as a backup of it would: every file that the control files of its tables name must exist
 * with the length that their rows need.
 */
export async function examineRoot(root: string, moment: DatabaseMoment): Promise<RootFindings> {
  const isLive = await hasFolder(join(root, checkpointFolder));
  const leftOut = new LeftOut();
  const listing: Listing = {root, isLive, stamp: () => undefined, isSettled: () => true, leftOut};
  const [faults, unknown]: [string[], string[]] = [[], []];
  const tables: RestoredTable[] = [];
  let [partitions, files] = [0, 0];
  const turns = new Turns();
  const states = await (isLive ? readCheckpointTables(root) : readStoppedTables(join(root, 'db')));
  for (const state of states) {
    tables.push({name: state.name, rows: state.txn.rows, changes: changesOf(root, state)});
    try {
      files += (await (isLive ? listTable : listWholeTable)(listing, state)).length;
      partitions += state.txn.partitions.filter(({rows}) => rows > 0).length;
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      (error.code === 'UNSUPPORTED' ? unknown : faults).push(error.message);
    }
    await turns.next();
  }
  if (!isLive) faults.push(...(await lostTables(join(root, 'db'), states)).map(({message}) => message));
  const found = new Map(tables.map(({name, rows}) => [name, rows]));
  for (const {name, rows} of moment.tables) {
    const present = found.get(name);
    if (present === undefined) faults.push(`table ${name} is missing`);
    else if (rows !== undefined && present !== rows)
      faults.push(`table ${name} has ${present} rows by its control files, and the backup recorded ${rows}`);
  }
  return {faults, unknown, tables, partitions, files};
}

function changesOf(root: string, {folder, txn, lastTxn, meta}: TableState): string | undefined {
  if (meta.partitionBy === 'NOT_APPLICABLE') return 'it is a view';
  const isMaterialized = ['db', checkpointFolder].some((place) => readControlFile(join(root, place, folder, '_mv')));
  if (isMaterialized) return 'it is a materialized view';
  return lastTxn !== undefined && lastTxn > txn.sequencerTxn ? 'it has rows that were not applied yet' : undefined;
}

async function hasFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
