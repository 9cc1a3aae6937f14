import {BkpError} from '../errors/index.ts';
import type {DatabaseMoment, FileSource, FileTarget} from './file-source.ts';
import type {HeldCheckpoint, Processes, QuestDbFileSource, QuestDbSourceOptions} from './questdb/index.ts';
import type {TableSource} from './source.ts';

export type * from './file-source.ts';
export {isSameFile, isSamePlace, type Origin, originSchema, placeText, type Whereabouts} from './origin.ts';
export type {QuestDbFileSource} from './questdb/index.ts';
export type * from './source.ts';

/** Where a source is; one member a database system. */
export type SourceSpec =
  /** `path`: absolute, or below the working directory. */
  | {scheme: 'sqlite'; path: string}
  /** See {@link QuestDbSourceOptions}. */
  | ({scheme: 'questdb'} & QuestDbSourceOptions);

/**
 * A database as tables. Opens nothing yet: a missing or damaged one is told by the first call that needs it.
 * @throws BkpError `UNSUPPORTED` for one that is backed up whole only
 */
export async function openSource(spec: SourceSpec): Promise<TableSource> {
  if (spec.scheme === 'questdb') {
    throw new BkpError('UNSUPPORTED', 'a QuestDB source has no backup collections', {
      next: 'BACKUP DATABASE backs it up whole; single tables come back with RESTORE DATABASE TABLE …',
    });
  }
  const {SqliteSource} = await import('./sqlite/index.ts');
  return new SqliteSource(spec.path);
}

/**
 * The same database as files. Opens nothing yet.
 * @param processes to tell whether the process of bkp that holds a checkpoint has ended; absent: nobody can
 */
export async function openFileSource(spec: SourceSpec, processes?: Processes): Promise<FileSource> {
  if (spec.scheme === 'questdb') return openQuestDb(spec, processes);
  const {SqliteFileSource} = await import('./sqlite/file/files.ts');
  return new SqliteFileSource(spec.path);
}

/** A QuestDB with what only it has: checkpoints, and a server beside its files. Opens nothing yet. */
export async function openQuestDb(
  spec: SourceSpec & {scheme: 'questdb'},
  processes?: Processes,
): Promise<QuestDbFileSource> {
  return (await import('./questdb/index.ts')).openQuestDbSource(spec, processes);
}

/** Of a QuestDB server: the checkpoint that is held now, and by which operation of bkp, if by one. */
export async function heldCheckpoint(spec: SourceSpec & {scheme: 'questdb'}): Promise<HeldCheckpoint | undefined> {
  return (await openQuestDb(spec)).heldCheckpoint();
}

/** Of a QuestDB server that answers; undefined for every other one. */
export async function serverVersion(spec: SourceSpec): Promise<string | undefined> {
  if (spec.scheme !== 'questdb') return undefined;
  return (await import('./questdb/index.ts')).openQuestDbSource(spec).version();
}

export type TargetWish = {
  /** A file for SQLite, a folder for QuestDB; it need not be there. */
  place: string;
  /** Only these tables; absent: all. */
  tables?: readonly string[];
  /** Also what comes back only when asked for. */
  withConf?: boolean;
};

export async function openFileTarget(product: DatabaseMoment['product'], wish: TargetWish): Promise<FileTarget> {
  const {place, ...more} = wish;
  if (product === 'questdb') return (await import('./questdb/index.ts')).openQuestDbTarget({root: place, ...more});
  const {SqliteFileTarget} = await import('./sqlite/file/target.ts');
  return new SqliteFileTarget(place);
}
