import {lstat, readdir, readlink, stat} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {shellQuoted} from '../../../lib/text.ts';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {restoreTrigger} from '../listing/root-files.ts';

/** What a failed restore leaves, as QuestDB Enterprise does. */
export const failedFolder = '.restore_failed';
export const failedNote = '_restore_failed';

/**
 * Why bkp cannot restore into this root; undefined when it can. The root need not exist. Messages are those of
 * QuestDB Enterprise.
 * @param ours what an interrupted restore has moved into place already
 */
export async function obstacle(
  root: string,
  {withConf, ours}: {withConf: boolean; ours: ReadonlySet<string>},
): Promise<BkpError | undefined> {
  const blocking = await nearest(root);
  if (blocking?.leadsTo !== undefined) {
    const {path, leadsTo} = blocking;
    return new BkpError('PRECONDITION', `${path} is a link to ${leadsTo}, where nothing is`, {
      cause: 'the disk behind it may not be mounted',
      next: `mount it, or rm ${shellQuoted(path)}, or name another folder`,
    });
  }
  if (blocking?.isFolder === false) {
    const file = blocking.path;
    return new BkpError('PRECONDITION', `${file} is a file, but the root of a QuestDB is a folder`, {
      next: 'name a folder; it need not exist',
    });
  }
  if ((await exists(join(root, failedFolder))) || (await exists(join(root, failedNote)))) {
    return new BkpError('PRECONDITION', 'Failed restore directory found', {
      cause: `an earlier restore into ${root} failed; ${failedNote} names its tables`,
      next: `check the files, then: rm -r '${join(root, failedFolder)}' '${join(root, failedNote)}'`,
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
    return notEmpty(`The local database is not empty. It has a file ${restoreTrigger}.`, root);
  }
  if (withConf && !ours.has('conf') && (await hasEntries(join(root, 'conf')))) {
    return new BkpError('PRECONDITION', `${join(root, 'conf')} already contains a configuration`, {
      next: 'restore without the configuration, or move the existing one away',
    });
  }
  return undefined;
}

function notEmpty(message: string, root: string): BkpError {
  return new BkpError('TABLE_EXISTS', message, {
    cause: `${root} contains a database`,
    next: 'restore into another, empty folder',
    context: {root},
  });
}

type Entry = {path: string; isFolder: boolean; leadsTo?: string};

/** The path, or the nearest of its parents that exists, as a link that leads nowhere also does. */
async function nearest(path: string): Promise<Entry | undefined> {
  const found = await ifPresent(() => stat(path), path);
  if (found !== undefined) return {path, isFolder: found.isDirectory()};
  const link = await ifPresent(() => readlink(path), path);
  if (link !== undefined) return {path, isFolder: false, leadsTo: link};
  return path === dirname(path) ? undefined : nearest(dirname(path));
}

/** True also when the path is a file. */
async function hasEntries(folder: string): Promise<boolean> {
  const found = await ifPresent(() => lstat(folder), folder);
  if (found === undefined) return false;
  return !found.isDirectory() || (await readdir(folder)).length > 0;
}

export async function exists(path: string): Promise<boolean> {
  return (await ifPresent(() => lstat(path), path)) !== undefined;
}

async function ifPresent<T>(read: () => Promise<T>, path: string): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path);
  }
}
