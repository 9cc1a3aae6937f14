import {newestReadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {isSameFile, isSamePlace, placeText, type TableSource, type Whereabouts} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

// A collection goes on with the database that its newest backup is of. Another one's rows would be its newest backup, and after
// some time, with KEEP_LATEST, all that is left.

/** A database as a manifest names it. */
export type NamedDatabase = Whereabouts & {identity?: string};

/** The database of a profile. `tracks`: whether it tracks changes for the collection with this id. */
export type PresentDatabase = NamedDatabase & {tracks: (owner: string) => Promise<boolean>};

export async function nameDatabase(source: TableSource): Promise<NamedDatabase> {
  const [identity, origin] = [await source.identity(), await source.origin()];
  return {
    description: source.description,
    ...(identity === undefined ? {} : {identity}),
    ...(origin === undefined ? {} : {origin}),
  };
}

export async function presentDatabase(source: TableSource): Promise<PresentDatabase> {
  const tracks = async (owner: string) => (await source.tracking()).some((entry) => entry.owner === owner);
  return {...(await nameDatabase(source)), tracks};
}

/**
 * Whether a database is the one that a backup was taken of. At the same place it is, unless it has another identity and tracks
 * nothing for this collection: then another database was put there. (A new identity comes with a restore into a new file, and
 * when the last collection that was tracked is dropped.) At another place it is a copy, or was moved: nothing can tell which.
 * @param owner the collection's id
 */
export async function isDatabaseOf(known: NamedDatabase, now: PresentDatabase, owner: string): Promise<boolean> {
  const areBoth = known.identity !== undefined && now.identity !== undefined;
  if (areBoth && known.identity === now.identity && known.origin === undefined) return true;
  if (!isSamePlace(known, now)) return false;
  if (!areBoth || known.identity === now.identity) return true;
  const [before, after] = [known.origin, now.origin];
  return (before !== undefined && after !== undefined && isSameFile(before, after)) || now.tracks(owner);
}

/**
 * Before a backup is taken: the newest backup that can be read says which database the collection is of. Without one, any is.
 * @throws BkpError `PRECONDITION` with the statement that takes the backup all the same
 */
export async function requireDatabase(
  vault: VaultReader,
  source: TableSource,
  of: {collection: string; owner: string; backups: readonly BackupName[]; statement: string},
): Promise<void> {
  const newest = await newestReadable(of.backups, (backup) => readBackup(vault, of.collection, backup));
  if (newest === undefined) return;
  const known: NamedDatabase = newest.body.source;
  const now = await presentDatabase(source);
  if (await isDatabaseOf(known, now, of.owner)) return;
  const isCopy = known.identity !== undefined && known.identity === now.identity;
  throw new BkpError('PRECONDITION', `the backups of ${of.collection} are of another database: ${placeText(known)}`, {
    cause: isCopy
      ? `${placeText(now)} is a copy of it, or it was moved there`
      : `${placeText(now)} is ${isSamePlace(known, now) ? 'a file with another identity' : 'at another place'}`,
    next: `name that database with --source; or, when the collection is to go on with this one: ${of.statement}`,
    context: {collection: of.collection},
  });
}

/** What is typed to take the backup of the database that is there. */
export const adoptingStatement = (collection: string, type: 'full' | 'incremental') =>
  `BACKUP ${quoteName(collection)}${type === 'incremental' ? ' INCREMENTAL' : ''} WITH (ADOPT='true')`;
