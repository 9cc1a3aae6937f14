import {mkdir, open, readdir, readFile, rename, rm, rmdir, stat, statfs, writeFile} from 'node:fs/promises';
import {dirname, join, relative} from 'node:path';
import {assert, BkpError, systemCode} from '../../../errors/index.ts';
import {forEachConcurrent} from '../../../lib/async.ts';
import {makeFolder, syncFile, syncFolder} from '../../../lib/files.ts';
import type {DatabaseMoment, FileTarget, FrozenFile, TargetSurvey} from '../../file-source.ts';
import {isAbsent} from '../format/bytes.ts';
import {dataIdPaths} from '../format/data-id.ts';
import {restoreTrigger} from '../listing/root-files.ts';
import {TargetFiles} from './target-file.ts';
import {exists, failedFolder, failedNote, obstacle} from './target-obstacles.ts';

export type QuestDbTargetOptions = {
  /** Absolute; created if it does not exist. */
  root: string;
  /** Only these tables; the root then becomes a separate database with its own id. Absent: all. */
  tables?: readonly string[] | undefined;
  /** Also the server's configuration. Default false: an older server does not start with the keys of a newer one. */
  withConf?: boolean | undefined;
};

/**
 * Everything is written into this folder of the root, on the same file system, and moved into place at the end. A
 * server that is started too early finds an empty root, and the next restore finds what an interrupted one has
 * written.
 */
const stagingFolder = '.bkp-restore';
/**
 * In the staging folder while its folders are moved: their names, one on each line. As long as `db` is in the staging
 * folder, the named folders that are missing there have been moved into place.
 */
const movingNote = 'moving';
/** Suffix of an incomplete file; no file of QuestDB has it. */
const partSuffix = '.bkp-part';
/** Moved in this order, after `_restore`: a server does not start with that file but without the other two. */
const topFolders = ['conf', '.checkpoint', 'db'];
/** Files that are synced concurrently; the system has written most of them by then. */
const syncsAtOnce = 16;

/** An empty root into which a backup of QuestDB is restored. */
export class QuestDbTarget implements FileTarget {
  readonly #root: string;
  readonly #staging: string;
  readonly #tables: ReadonlySet<string> | undefined;
  readonly #withConf: boolean;
  readonly #files = new TargetFiles();
  /** Files that this restore has written, or found complete in the staging folder. */
  readonly #paths = new Set<string>();
  readonly #folders = new Set<string>();
  /** Folders below `db`, by table. */
  readonly #tableFolders = new Map<string, Set<string>>();

  constructor({root, tables, withConf}: QuestDbTargetOptions) {
    this.#root = root;
    this.#staging = join(root, stagingFolder);
    this.#tables = tables === undefined ? undefined : new Set(tables);
    this.#withConf = withConf === true;
  }

  async survey(): Promise<TargetSurvey> {
    const obstacle = await this.#obstacle();
    return {inTheWay: obstacle?.message, nextStep: obstacle?.next, freeBytes: await freeBytesOf(this.#root)};
  }

  async prepare({product}: DatabaseMoment): Promise<void> {
    if (product !== 'questdb') {
      throw new BkpError('BAD_REQUEST', `a backup of ${product} cannot be restored as a QuestDB`, {
        next: 'name another backup, or another target',
      });
    }
    const inTheWay = await this.#obstacle();
    if (inTheWay !== undefined) throw inTheWay;
    await this.#explained(this.#root, async () => {
      for (const name of await this.#movedBefore()) {
        await moveIfThere(join(this.#root, name), join(this.#staging, name));
      }
      await rm(join(this.#staging, movingNote), {force: true});
      await makeFolder(this.#staging);
    });
  }

  async write(file: FrozenFile, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    if (!this.#isWanted(file)) {
      for await (const _ of bytes);
      return;
    }
    const path = this.#stagedPath(file);
    await this.#explained(path, async () => {
      await this.#makeFolder(dirname(path));
      await this.#files.write(`${path}${partSuffix}`, file, bytes);
      await rename(`${path}${partSuffix}`, path);
    });
    this.#remember(file);
  }

  async finished(file: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined> {
    if (!this.#isWanted(file)) return undefined;
    const path = this.#stagedPath(file);
    const found = await stat(path).catch(() => undefined);
    if (found?.size !== file.sizeBytes + file.zeroTailBytes) return undefined;
    // The caller checks the bytes, and rewrites the file if they are wrong.
    this.#remember(file);
    return readStart(path, file.sizeBytes);
  }

  async publish(): Promise<undefined> {
    await this.#explained(this.#root, async () => {
      await this.#removeOthers(this.#staging);
      await this.#syncAll();
      const folders = topFolders.filter((folder) => [...this.#paths].some((path) => path.startsWith(`${folder}/`)));
      const isCheckpoint = folders.includes('.checkpoint');
      if (isCheckpoint) await writeFile(join(this.#staging, restoreTrigger), '');
      const moved = [...(isCheckpoint ? [restoreTrigger] : []), ...folders];
      await writeFile(join(this.#staging, movingNote), moved.map((name) => `${name}\n`).join(''), {flush: true});
      await syncFolder(this.#staging);
      for (const name of moved) {
        // An empty folder, which an installation has that was never started.
        await rmdir(join(this.#root, name)).catch(() => undefined);
        await rename(join(this.#staging, name), join(this.#root, name));
      }
      await syncFolder(this.#root);
      await rm(this.#staging, {recursive: true, force: true});
      await rm(join(this.#root, '_backup_restore'), {force: true});
      await syncFolder(this.#root);
    });
  }

  async fail(tables: readonly string[]): Promise<void> {
    await this.#explained(this.#root, async () => {
      await mkdir(join(this.#root, failedFolder), {recursive: true});
      await writeFile(join(this.#root, failedNote), tables.map((table) => `${table}\n`).join(''));
      const folders = new Set(tables.flatMap((table) => [...(this.#tableFolders.get(table) ?? [])]));
      for (const folder of folders) {
        await moveIfThere(join(this.#staging, 'db', folder), join(this.#root, failedFolder, folder));
      }
    });
  }

  async #obstacle(): Promise<BkpError | undefined> {
    return obstacle(this.#root, {withConf: this.#withConf, ours: new Set(await this.#movedBefore())});
  }

  /** What an interrupted restore has moved into place. If it has moved `db`, it is finished. */
  async #movedBefore(): Promise<string[]> {
    const note = await readFile(join(this.#staging, movingNote), 'utf8').catch(() => '');
    if (note === '' || !(await exists(join(this.#staging, 'db')))) return [];
    const names = note.split('\n').filter((name) => name === restoreTrigger || topFolders.includes(name));
    const staged = await Promise.all(names.map((name) => exists(join(this.#staging, name))));
    return names.filter((_, at) => !staged[at]);
  }

  #isWanted({path, table, optional}: FrozenFile): boolean {
    if (optional && !this.#withConf) return false;
    if (this.#tables === undefined) return true;
    // Single tables become a separate database.
    return table === undefined ? !dataIdPaths.has(path) : this.#tables.has(table);
  }

  #stagedPath({path}: FrozenFile): string {
    const staged = join(this.#staging, path);
    const isBelow = topFolders.includes(path.split('/')[0]!) && relative(this.#staging, staged) === path;
    assert(isBelow, `${path} is in a folder of a root`);
    return staged;
  }

  #remember({path, table}: FrozenFile): void {
    this.#paths.add(path);
    const [top, folder, rest] = path.split('/');
    if (table === undefined || top !== 'db' || folder === undefined || rest === undefined) return;
    const folders = this.#tableFolders.get(table) ?? new Set();
    this.#tableFolders.set(table, folders.add(folder));
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return;
    await mkdir(folder, {recursive: true});
    this.#folders.add(folder);
  }

  /** Removes incomplete files, and what an interrupted restore of another backup has left. */
  async #removeOthers(folder: string): Promise<void> {
    let kept = 0;
    const entries = await readdir(folder, {withFileTypes: true});
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await this.#removeOthers(path);
      else if (this.#paths.has(relative(this.#staging, path).replaceAll('\\', '/'))) kept++;
      else await rm(path);
    }
    const isEmpty = kept === 0 && folder !== this.#staging;
    if (isEmpty) await rmdir(folder).catch(() => undefined);
  }

  /**
   * At the end, not after each file: the system has written most of it by then. A power failure before that costs
   * only time, because the next restore compares complete files before it reuses them.
   */
  async #syncAll(): Promise<void> {
    const paths = [...this.#paths];
    const folders = new Set(paths.flatMap((path) => ancestors(path)));
    for (const some of [paths, [...folders]]) {
      await forEachConcurrent(some, syncsAtOnce, (path) => syncFile(join(this.#staging, path)));
    }
    await syncFolder(this.#staging);
  }

  /** @throws BkpError `SOURCE_FULL` | `PRECONDITION` for what the disk or the rights of the root do not allow */
  async #explained<T>(path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      switch (systemCode(error)) {
        case 'ENOSPC':
        case 'EDQUOT':
          throw new BkpError('SOURCE_FULL', `no space is left on the disk of ${this.#root}`, {
            cause: error,
            next: 'free some space and restore again; the files that are written already are reused',
            context: {path},
          });
        case 'EACCES':
        case 'EPERM':
        case 'EROFS':
          throw new BkpError('PRECONDITION', `bkp cannot write ${path}`, {
            cause: error,
            next: 'allow this user to write there',
            context: {path},
          });
        default:
          throw error;
      }
    }
  }
}

const readBytes = 1024 * 1024;

async function* readStart(path: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    for (let at = 0; at < sizeBytes; ) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(readBytes, sizeBytes - at));
      const {bytesRead} = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** `a` and `a/b` for `a/b/c`. */
function ancestors(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'));
}

async function moveIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

/** Of the nearest existing parent folder. */
async function freeBytesOf(path: string): Promise<number | undefined> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await statfs(folder).catch(() => undefined);
    if (found !== undefined) return found.bavail * found.bsize;
    if (folder === dirname(folder)) return undefined;
  }
}
