import {mkdir, open, readdir, readFile, rename, rm, rmdir, stat, statfs, writeFile} from 'node:fs/promises';
import {dirname, join, relative} from 'node:path';
import {assert, BkpError, systemCode} from '../../../errors/index.ts';
import {forEachConcurrent} from '../../../lib/async.ts';
import {syncFile, syncFolder} from '../../../lib/files.ts';
import type {DatabaseMoment, FileTarget, FrozenFile} from '../../file-source.ts';
import {isAbsent} from '../format/bytes.ts';
import {dataIdPaths} from '../format/data-id.ts';
import {TargetFiles} from './target-file.ts';
import {exists, failedFolder, failedNote, obstacle, restoreTrigger} from './target-obstacles.ts';

export type QuestDbTargetOptions = {
  /** Absolute; made when it is not there. */
  root: string;
  /** Only these tables; the root then becomes a database of its own, with an id of its own. Absent: all. */
  tables?: readonly string[];
  /** Also the server's configuration. Default false: a newer server's keys keep an older one from starting. */
  withConf?: boolean;
};

/**
 * Everything is written in here, in the root and so on its file system, and moved into place at the end. A server that is
 * started too early finds an empty root, and what an ended try has written is found by the next one.
 */
const stagingFolder = '.bkp-restore';
/** In the staging while its folders are moved: their names, a line each. Until `db` is moved, what is missing here is in place. */
const movingNote = 'moving';
/** Of a file that is not whole yet; no name of QuestDB's ends so. */
const partSuffix = '.bkp-part';
/** In this order, after `_restore`: with that file and without the other two a server does not start. */
const topFolders = ['conf', '.checkpoint', 'db'];
/** Files that are brought to the disk at once; most have been written there meanwhile. */
const syncsAtOnce = 16;

/** An empty root, into which a backup of QuestDB comes back. */
export class QuestDbTarget implements FileTarget {
  readonly #root: string;
  readonly #staging: string;
  readonly #tables: ReadonlySet<string> | undefined;
  readonly #withConf: boolean;
  readonly #files = new TargetFiles();
  /** What this restore has put into the staging, or found there whole. */
  readonly #paths = new Set<string>();
  readonly #folders = new Set<string>();
  /** Folders below `db` of each table. */
  readonly #tableFolders = new Map<string, Set<string>>();

  constructor({root, tables, withConf}: QuestDbTargetOptions) {
    this.#root = root;
    this.#staging = join(root, stagingFolder);
    this.#tables = tables === undefined ? undefined : new Set(tables);
    this.#withConf = withConf === true;
  }

  async survey(): Promise<{freeBytes?: number; inTheWay?: string}> {
    const inTheWay = (await this.#obstacle())?.message;
    const freeBytes = await freeBytesOf(this.#root);
    return {
      ...(freeBytes === undefined ? {} : {freeBytes}),
      ...(inTheWay === undefined ? {} : {inTheWay}),
    };
  }

  async prepare({product}: DatabaseMoment): Promise<void> {
    if (product !== 'questdb') {
      throw new BkpError('BAD_REQUEST', `a backup of ${product} cannot be restored as a QuestDB`, {
        next: 'name another backup, or another place',
      });
    }
    const inTheWay = await this.#obstacle();
    if (inTheWay !== undefined) throw inTheWay;
    await this.#told(this.#root, async () => {
      for (const name of await this.#movedBefore()) {
        await moveIfThere(join(this.#root, name), join(this.#staging, name));
      }
      await rm(join(this.#staging, movingNote), {force: true});
      await mkdir(this.#staging, {recursive: true});
    });
  }

  async write(file: FrozenFile, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    if (!this.#isWanted(file)) {
      for await (const _ of bytes);
      return;
    }
    const path = this.#place(file);
    await this.#told(path, async () => {
      await this.#makeFolder(dirname(path));
      await this.#files.write(`${path}${partSuffix}`, file, bytes);
      await rename(`${path}${partSuffix}`, path);
    });
    this.#remember(file);
  }

  async finished(file: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined> {
    if (!this.#isWanted(file)) return undefined;
    const path = this.#place(file);
    const found = await stat(path).catch(() => undefined);
    if (found?.size !== file.sizeBytes + file.zeroTailBytes) return undefined;
    // The caller looks at the bytes, and writes the file anew when they are wrong.
    this.#remember(file);
    return readStart(path, file.sizeBytes);
  }

  async publish(): Promise<undefined> {
    await this.#told(this.#root, async () => {
      await this.#removeOthers(this.#staging);
      await this.#syncAll();
      const folders = topFolders.filter((folder) => [...this.#paths].some((path) => path.startsWith(`${folder}/`)));
      const isCheckpoint = folders.includes('.checkpoint');
      if (isCheckpoint) await writeFile(join(this.#staging, restoreTrigger), '');
      const moved = [...(isCheckpoint ? [restoreTrigger] : []), ...folders];
      await writeFile(join(this.#staging, movingNote), moved.map((name) => `${name}\n`).join(''), {flush: true});
      await syncFolder(this.#staging);
      for (const name of moved) {
        // An empty folder in the way, as of an installation that was never started.
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
    await this.#told(this.#root, async () => {
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

  /** What a try that was ended while it moved its folders has put in place. With `db` it was done. */
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
    // A part of a database is another database.
    return table === undefined ? !dataIdPaths.has(path) : this.#tables.has(table);
  }

  #place({path}: FrozenFile): string {
    const place = join(this.#staging, path);
    const isBelow = topFolders.includes(path.split('/')[0]!) && relative(this.#staging, place) === path;
    assert(isBelow, `${path} lies in a folder of a root`);
    return place;
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

  /** What an earlier try of another backup has left, and halves of files. */
  async #removeOthers(folder: string): Promise<void> {
    let kept = 0;
    const entries = await readdir(folder, {withFileTypes: true});
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await this.#removeOthers(path);
      else if (this.#paths.has(relative(this.#staging, path).replaceAll('\\', '/'))) kept++;
      else await rm(path);
    }
    const left = kept === 0 && folder !== this.#staging;
    if (left) await rmdir(folder).catch(() => undefined);
  }

  /**
   * At the end and not file by file: the system has written most of it meanwhile, and a try that was ended by a power cut
   * loses nothing but time, because whole files are compared before they are taken over.
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
  async #told<T>(path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      switch (systemCode(error)) {
        case 'ENOSPC':
        case 'EDQUOT':
          throw new BkpError('SOURCE_FULL', `no space is left on the disk of ${this.#root}`, {
            cause: error,
            next: 'free some space and restore again: what is there already is taken over',
            context: {path},
          });
        case 'EACCES':
        case 'EPERM':
        case 'EROFS':
          throw new BkpError('PRECONDITION', `${path} cannot be written`, {
            cause: error,
            next: 'give this user the right to write there',
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

/** `a/b/c` lies in `a` and `a/b`. */
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

/** Of the nearest folder above that exists. */
async function freeBytesOf(path: string): Promise<number | undefined> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await statfs(folder).catch(() => undefined);
    if (found !== undefined) return found.bavail * found.bsize;
    if (folder === dirname(folder)) return undefined;
  }
}
