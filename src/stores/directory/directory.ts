import {constants} from 'node:fs';
import {link, lstat, open, realpath, rename, rm, rmdir, stat} from 'node:fs/promises';
import {dirname, join, resolve, sep} from 'node:path';
import {BkpError, systemCode} from '../../errors/index.ts';
import {makeFolder, readFully, syncFolder} from '../../lib/files.ts';
import {obstacleAt} from '../../lib/plain-file.ts';
import {assertKey, assertPrefix} from '../key.ts';
import {objectMissing, objectTooShort, objectUnreadable, rangeWithin} from '../object-errors.ts';
import type {
  ByteRange,
  Key,
  ListOptions,
  ObjectFacts,
  PutOptions,
  RetainedObject,
  Store,
  StoreLayout,
} from '../store.ts';
import {directoryError} from './errors.ts';
import {DirectoryListing} from './list.ts';
import {isAbsence, statOrAbsent} from './listing-calls.ts';
import {objectObstructed} from './obstacle.ts';
import {type Body, type Link, publishIfAbsent, removeStaleTemporaries, writeTemporary} from './put.ts';
import {SpareRoom} from './spare.ts';
import {isMediumError, isReadableBut, type Read} from './unreadable.ts';

export type DirectoryStoreOptions = {
  /** The folder; made absolute. */
  root: string;
  /** Create the folder if it is missing. */
  create: boolean;
  /** Default: of a store whose content is not known. */
  layout?: StoreLayout;
  /** Replaces `link(2)` in tests of file systems without hard links. */
  link?: Link;
  /** Replaces `readFully` in tests of failing disks. */
  read?: Read;
};

const unknownLayout: StoreLayout = {isObject: () => false, isFolder: () => false, objectsIn: () => undefined};

/** How often a write is tried when its folder vanishes: other processes remove empty folders. */
const vanishedFolderTries = 5;

/**
 * A store in a local folder.
 *
 * Invariants: an object's name appears once its bytes are durable, by a link or rename of a finished temporary file
 * in the same folder. The call that created it returns once the name is durable too.
 *
 * @throws BkpError `STORE_UNAVAILABLE` (no such folder, no rights) | `STORE_REFUSED` (a file)
 */
export async function openDirectoryStore(options: DirectoryStoreOptions): Promise<Store> {
  const root = resolve(options.root);
  try {
    if (options.create) await makeFolderDurably(root);
    const facts = await stat(root);
    if (!facts.isDirectory()) throw Object.assign(new Error(`${root} is a file`), {code: 'ENOTDIR'});
  } catch (error) {
    if (systemCode(error) === 'EEXIST')
      throw directoryError(Object.assign(new Error(`${root} is a file`), {code: 'ENOTDIR'}), root, 'be opened');
    throw directoryError(error, root, 'be opened');
  }
  return new DirectoryStore(root, {link, read: readFully, layout: unknownLayout, ...options});
}

class DirectoryStore implements Store {
  readonly description: string;
  readonly properties = {versions: false, flatListing: false, objectLock: false};
  readonly #root: string;
  readonly #link: Link;
  readonly #read: Read;
  readonly #layout: StoreLayout;
  readonly #spare: SpareRoom;
  /** Folders that were checked: they exist, are inside the root, and have no stale temporary files. */
  readonly #ready = new Set<string>();
  /** Folders that a listing found empty, or with a temporary file: a put into them may have been interrupted. */
  readonly #leftovers = new Set<string>();

  constructor(root: string, {link, read, layout}: Required<Pick<DirectoryStoreOptions, 'link' | 'read' | 'layout'>>) {
    this.#root = root;
    this.#link = link;
    this.#read = read;
    this.#layout = layout;
    this.#spare = new SpareRoom(root);
    this.description = `fs::root=${root}`;
  }

  put(key: Key, body: Uint8Array, options?: PutOptions): Promise<'written' | 'exists'> {
    return this.#put(key, body, options);
  }

  putParts(key: Key, parts: () => Iterable<Uint8Array>, options?: PutOptions): Promise<'written' | 'exists'> {
    return this.#put(key, parts, options);
  }

  async #put(key: Key, body: Body, {ifAbsent = false}: PutOptions = {}): Promise<'written' | 'exists'> {
    const target = this.#path(key);
    const folder = dirname(target);
    for (let tries = 1; ; tries++) {
      try {
        if (!this.#ready.has(folder)) await this.#prepare(folder);
        const outcome = await this.#putInto(folder, target, body, ifAbsent);
        await this.#spare.wrote(body);
        return outcome;
      } catch (error) {
        this.#ready.delete(folder);
        if (await this.#spare.release(error, body)) continue;
        if (systemCode(error) === 'EISDIR') throw objectObstructed(key, target, 'a folder');
        if (systemCode(error) !== 'ENOENT' || tries === vanishedFolderTries) {
          throw directoryError(error, this.#root, `write ${key}`);
        }
      }
    }
  }

  async #putInto(folder: string, target: string, body: Body, ifAbsent: boolean): Promise<'written' | 'exists'> {
    const temporary = await writeTemporary(folder, body);
    let outcome: 'written' | 'exists' = 'written';
    try {
      if (ifAbsent) outcome = await publishIfAbsent(temporary, target, this.#link);
      else await rename(temporary, target);
    } finally {
      // A rename has removed it already.
      await rm(temporary, {force: true});
    }
    // Also if the name existed: its writer may not have reached this point yet.
    await syncFolder(folder);
    return outcome;
  }

  async #prepare(folder: string): Promise<void> {
    // A missing root means that its disk was unmounted: creating it would write to the wrong disk.
    await stat(this.#root);
    await makeFolderDurably(folder);
    const [root, real] = await Promise.all([realpath(this.#root), realpath(folder)]);
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      throw new BkpError('STORE_REFUSED', `${folder} leads out of the store, to ${real}`, {
        cause: 'a symbolic link inside the store',
        next: 'remove the link, and use the folder that it leads to as the store',
      });
    }
    await removeStaleTemporaries(folder);
    this.#ready.add(folder);
  }

  async get(key: Key, range?: ByteRange): Promise<Uint8Array> {
    try {
      return await this.#readObject(key, range);
    } catch (error) {
      if (!isMediumError(error)) throw await this.#readError(key, error);
      if (!(await this.#isReadableBut(key))) throw directoryError(error, this.#root, `read ${key}`);
    }
    // The disk may have been away for a moment.
    try {
      return await this.#readObject(key, range);
    } catch (error) {
      if (!isMediumError(error)) throw await this.#readError(key, error);
      throw objectUnreadable(key, {cause: error, check: `the disk that holds ${this.#root} (dmesg)`});
    }
  }

  async #readObject(key: Key, range: ByteRange | undefined): Promise<Uint8Array> {
    const path = this.#path(key);
    // Without waiting for a process that writes into a named pipe of this name.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const facts = await handle.stat();
      if (!facts.isFile()) throw Object.assign(new Error(`${path} is not a file`), {code: 'EISDIR'});
      const {start, end} = rangeWithin(key, facts.size, range);
      const bytes = Buffer.allocUnsafeSlow(end - start);
      const readBytes = await this.#read(handle.fd, bytes, start);
      if (readBytes < bytes.length) throw objectTooShort(key, start + readBytes, {start, end});
      return bytes;
    } finally {
      await handle.close();
    }
  }

  async #readError(key: Key, error: unknown): Promise<unknown> {
    if (error instanceof BkpError) return error;
    const path = this.#path(key);
    const obstacle = obstacleAt(path);
    if (obstacle !== undefined) return objectObstructed(key, path, obstacle);
    const folder = dirname(key);
    if (systemCode(error) === 'ENOTDIR' && this.#layout.objectsIn(folder)?.includes(key))
      return objectObstructed(key, dirname(path), 'a file');
    return isAbsence(error) ? this.#absence(key, error) : directoryError(error, this.#root, `read ${key}`);
  }

  #isReadableBut(key: Key): Promise<boolean> {
    return isReadableBut(this.#path(key), this.#root, this.#read);
  }

  /** Distinguishes a missing object from a missing disk, which is not damage. */
  async #absence(key: Key, error: unknown): Promise<unknown> {
    try {
      await stat(this.#root);
    } catch (rootError) {
      return directoryError(rootError, this.#root, `read ${key}`);
    }
    return objectMissing(key, this.description, error);
  }

  async *list(prefix: string, {after = ''}: ListOptions = {}): AsyncIterable<ObjectFacts> {
    assertPrefix(prefix);
    try {
      await stat(this.#root);
      yield* this.#listing(after).in(prefix);
    } catch (error) {
      throw directoryError(error, this.#root, `list ${prefix}`);
    }
  }

  #listing(after: Key): DirectoryListing {
    const isReadableButThis = (path: string) => isReadableBut(path, this.#root, this.#read);
    const onLeftover = (folder: string) => void this.#leftovers.add(folder);
    const parts = {root: this.#root, layout: this.#layout, isReadableBut: isReadableButThis, onLeftover};
    return new DirectoryListing(parts, after);
  }

  /** Most folders are written to once, so the next write into them, which would remove such files, never comes. */
  async sweep(): Promise<void> {
    const folders = [...this.#leftovers];
    this.#leftovers.clear();
    for (const folder of folders) {
      try {
        await removeStaleTemporaries(folder);
        await this.#tidy(folder);
      } catch (error) {
        if (systemCode(error) === undefined) throw error;
      }
    }
  }

  async delete(keys: readonly Key[]): Promise<readonly RetainedObject[]> {
    const paths = keys.map((key) => this.#path(key));
    try {
      for (const [position, path] of paths.entries()) await this.#remove(keys[position]!, path);
      // Durable before anything else is removed: after a power cut, a manifest must not reappear without its packs.
      for (const folder of new Set(paths.map((path) => dirname(path)))) await this.#tidy(folder);
      await this.#spare.removed();
      return [];
    } catch (error) {
      throw directoryError(error, this.#root, 'delete');
    }
  }

  async #remove(key: Key, path: string): Promise<void> {
    try {
      await rm(path, {force: true});
    } catch (error) {
      if (!(await lstat(path)).isDirectory()) throw error;
      // An empty folder holds nothing that anybody put there.
      await rmdir(path).catch(() => {
        throw objectObstructed(key, path, 'a folder');
      });
    }
  }

  /** Makes removals in `folder` durable, and removes folders that are now empty, up to the root. */
  async #tidy(folder: string): Promise<void> {
    for (let at = folder; at.length >= this.#root.length; at = dirname(at)) {
      try {
        await syncFolder(at);
        if (at === this.#root) return;
        await rmdir(at);
        this.#ready.delete(at);
      } catch (error) {
        const code = systemCode(error);
        if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EBUSY') return;
        if (code !== 'ENOENT') throw error;
      }
    }
  }

  async stat(key: Key): Promise<ObjectFacts | undefined> {
    try {
      const path = this.#path(key);
      const facts = await statOrAbsent(path);
      if (facts === undefined) await stat(this.#root);
      const isFolder = !(facts instanceof Error) && facts?.isDirectory() && !this.#layout.isObject(key);
      return facts === undefined || isFolder ? undefined : await this.#listing('').object(key, path, facts);
    } catch (error) {
      throw directoryError(error, this.#root, `read the facts of ${key}`);
    }
  }

  #path(key: Key): string {
    assertKey(key);
    return join(this.#root, ...key.split('/'));
  }
}

/** Creates `folder` and its missing parents, durably. */
async function makeFolderDurably(folder: string): Promise<void> {
  const first = await makeFolder(folder);
  if (first === undefined) return;
  for (let at = folder; ; at = dirname(at)) {
    await syncFolder(dirname(at));
    if (at === first || at === dirname(at)) return;
  }
}
