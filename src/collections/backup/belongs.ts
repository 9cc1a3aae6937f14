import {newestReadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {isSameFile, isSamePlace, placeText, type TableSource, type Whereabouts} from '../../sources/index.ts';
import {quoteName, typeWords, type WantedBackup} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

// A collection continues with the database of its newest backup. Rows of another database would become its
// newest backup, and with KEEP_LATEST soon the only ones.

/** A database as a manifest names it. */
export type NamedDatabase = Whereabouts & {identity?: string};

/** The database of a profile. `tracks`: true if it tracks changes for the collection with this id. */
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
 * True if a database is the one that a backup was taken of. At the same location it is, unless its identity
 * differs and it tracks no changes for this collection: then another database has replaced it. (An identity
 * changes with a restore into a new file, and when the last tracked collection is dropped.) At another location
 * it is a copy or was moved, which cannot be distinguished.
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
 * Checks, before a backup, that the source is the database of the newest readable backup. Without such a
 * backup, any database may be used.
 * @returns `unknown` if none of the backups can be read
 * @throws BkpError `PRECONDITION` with the statement that takes the backup nevertheless
 */
export async function requireDatabase(
  vault: VaultReader,
  source: TableSource,
  of: {collection: string; owner: string; backups: readonly BackupName[]; statement: string},
): Promise<'unknown' | 'same'> {
  const newest = await newestBackup(vault, of.collection, of.backups);
  if (newest === undefined) return 'unknown';
  const known: NamedDatabase = newest.body.source;
  const now = await presentDatabase(source);
  if (await isDatabaseOf(known, now, of.owner)) return 'same';
  const isCopy = known.identity !== undefined && known.identity === now.identity;
  throw new BkpError('PRECONDITION', `the backups of ${of.collection} are of another database: ${placeText(known)}`, {
    cause: isCopy
      ? `${placeText(now)} is a copy of it, or it was moved there`
      : `${placeText(now)} is ${isSamePlace(known, now) ? 'a database with another identity' : 'at another place'}`,
    next: `name that database with --source; or, if the collection is to continue with this one: ${of.statement}`,
    context: {collection: of.collection},
  });
}

/** @returns the newest backup that can be read */
export const newestBackup = (vault: VaultReader, collection: string, backups: readonly BackupName[]) =>
  newestReadable(backups, (backup) => readBackup(vault, collection, backup));

/** The statement that takes the backup of the present database. */
export const adoptingStatement = (collection: string, type: WantedBackup) =>
  `BACKUP ${quoteName(collection)}${typeWords[type]} WITH (ADOPT='true')`;
