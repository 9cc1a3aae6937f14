import {lstat, readdir, stat} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {isAbsent, unreadable} from '../format/bytes.ts';

/** What a restore that failed leaves, as the original does. */
export const failedFolder = '.restore_failed';
export const failedNote = '_restore_failed';

/** The server recovers from `.checkpoint` when it finds this file, and removes it. */
export const restoreTrigger = '_restore';

/**
 * Why nothing can be restored into that root; undefined when it is free. It need not exist. Messages are the original's.
 * @param ours what an earlier try that was ended has put in place already
 */
export async function obstacle(
  root: string,
  {withConf, ours}: {withConf: boolean; ours: ReadonlySet<string>},
): Promise<BkpError | undefined> {
  const file = await fileOnTheWay(root);
  if (file !== undefined) {
    return new BkpError('PRECONDITION', `${file} is a file, and the root of a QuestDB is a folder`, {
      next: 'name a folder: it is made when it is not there',
    });
  }
  if ((await exists(join(root, failedFolder))) || (await exists(join(root, failedNote)))) {
    return new BkpError('PRECONDITION', 'Failed restore directory found', {
      cause: `an earlier restore into ${root} failed; ${failedNote} names its tables`,
      next: `look at it, then: rm -r '${join(root, failedFolder)}' '${join(root, failedNote)}'`,
    });
  }
  if (await exists(join(root, 'db/.data_id'))) {
    return notEmpty('The local database is not empty. It already has an associated data ID.', root);
  }
  for (const folder of ['db', '.checkpoint']) {
    if (!ours.has(folder) && (await hasEntries(join(root, folder))))
      return notEmpty('The local database is not empty.', root);
  }
  if (!ours.has(restoreTrigger) && (await exists(join(root, restoreTrigger)))) {
    return notEmpty(`The local database is not empty. ${restoreTrigger} is there.`, root);
  }
  if (withConf && !ours.has('conf') && (await hasEntries(join(root, 'conf')))) {
    return new BkpError('PRECONDITION', `${join(root, 'conf')} holds a configuration already`, {
      next: 'restore without the configuration, or move that one away',
    });
  }
  return undefined;
}

function notEmpty(message: string, root: string): BkpError {
  return new BkpError('TABLE_EXISTS', message, {
    cause: `${root} holds a database`,
    next: 'restore into another, empty folder',
    context: {root},
  });
}

/** The path, or one above it, that is there and is no folder. */
async function fileOnTheWay(path: string): Promise<string | undefined> {
  const found = await listed(() => stat(path), path);
  if (found !== undefined) return found.isDirectory() ? undefined : path;
  return path === dirname(path) ? undefined : fileOnTheWay(dirname(path));
}

/** A file in a folder's place counts too. */
async function hasEntries(folder: string): Promise<boolean> {
  const found = await listed(() => lstat(folder), folder);
  if (found === undefined) return false;
  return !found.isDirectory() || (await readdir(folder)).length > 0;
}

export async function exists(path: string): Promise<boolean> {
  return (await listed(() => lstat(path), path)) !== undefined;
}

async function listed<T>(look: () => Promise<T>, path: string): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path);
  }
}
