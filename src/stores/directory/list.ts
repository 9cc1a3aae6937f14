import type {Dirent, Stats} from 'node:fs';
import {realpath, stat} from 'node:fs/promises';
import {join, sep} from 'node:path';
import {isPart} from '../key.ts';
import type {Key, ObjectFacts, StoreLayout} from '../store.ts';
import {ListingCalls} from './listing-calls.ts';
import {isTemporary} from './put.ts';
import {isMediumError} from './unreadable.ts';

export type ListParts = {
  root: string;
  layout: StoreLayout;
  /** Whether other objects than this can be read: then it is damaged, and otherwise the disk is away. */
  isReadableBut: (path: string) => Promise<boolean>;
  /** Called with a folder of the layout that is empty, or has a temporary file. */
  onLeftover: (folder: string) => void;
};

/** Names that file systems and file managers create in a folder. */
const foreign = (name: string, atRoot: boolean) => name === '.DS_Store' || (atRoot && name === 'lost+found');

/** False if neither the object with this key nor any below a folder of this name comes after another key. */
const mayFollow = (path: string, after: Key) => path > after || `${path}/` > after || after.startsWith(`${path}/`);

/** In the place of an object, but not to be read as one. */
const unreadable = (key: Key): ObjectFacts => ({key, sizeBytes: 0, modifiedAtMs: 0});

/** One listing of a directory store, see `Store.list`. */
export class DirectoryListing {
  readonly #parts: ListParts;
  readonly #after: Key;
  readonly #calls = new ListingCalls();

  constructor(parts: ListParts, after: Key) {
    this.#parts = parts;
    this.#after = after;
  }

  /** @param through the folders that links led to, without links */
  async *in(prefix: string, through: readonly string[] = []): AsyncGenerator<ObjectFacts> {
    const folder = join(this.#parts.root, prefix);
    const found = await this.#entries(folder, prefix.slice(0, -1));
    if (!Array.isArray(found)) return yield* found.keys.filter((key) => key > this.#after).map(unreadable);
    // A folder sorts with its slash, as its keys do: `a-b` comes before `a/b`.
    // Nothing that has no key was written here: `manifest (copy)`, or a copied folder. Elsewhere it shows that the root
    // belongs to something else.
    const isOurs = this.#parts.layout.isFolder(prefix.slice(0, Math.max(prefix.indexOf('/'), 0)));
    const isLeftover = found.length === 0 || found.some(({name}) => isTemporary(name));
    // Not what others see through a link.
    if (isOurs && isLeftover && through.length === 0) this.#parts.onLeftover(folder);
    const names: string[] = [];
    const links = new Map<string, string>();
    for (const entry of found) {
      const key = prefix + entry.name;
      if (!mayFollow(key, this.#after) || isTemporary(entry.name) || foreign(entry.name, prefix === '')) continue;
      if (isOurs && !isPart(entry.name)) continue;
      const linked = entry.isSymbolicLink() ? await this.#folderBehind(folder, entry.name, through) : undefined;
      if (linked !== undefined) links.set(`${entry.name}/`, linked);
      const isFolder = (entry.isDirectory() || linked !== undefined) && !this.#parts.layout.isObject(key);
      names.push(isFolder ? `${entry.name}/` : entry.name);
    }
    names.sort();
    for (let at = 0; at < names.length; ) {
      const name = names[at]!;
      if (name.endsWith('/')) {
        const linked = links.get(name);
        yield* this.in(prefix + name, linked === undefined ? through : [...through, linked]);
        at += 1;
        continue;
      }
      const end = names.findIndex((other, position) => position >= at && other.endsWith('/'));
      const files = names.slice(at, end < 0 ? names.length : end);
      yield* this.#files(prefix, files);
      at += files.length;
    }
  }

  /** @returns `keys` of a folder that cannot be listed, although others can: what it is known to hold */
  async #entries(path: string, folder: Key): Promise<Dirent[] | {keys: readonly Key[]}> {
    const {layout, isReadableBut} = this.#parts;
    try {
      return await this.#calls.entries(path, {isFolder: layout.isFolder(folder)});
    } catch (error) {
      const keys = isMediumError(error) ? layout.objectsIn(folder) : undefined;
      if (keys === undefined || !(await isReadableBut(path))) throw error;
      return {keys};
    }
  }

  async *#files(prefix: string, files: readonly string[]): AsyncGenerator<ObjectFacts> {
    const paths = files.map((name) => join(this.#parts.root, prefix, name));
    let position = 0;
    for await (const facts of this.#calls.facts(paths)) {
      const path = paths[position]!;
      const key = prefix + files[position]!;
      position += 1;
      if (facts === undefined) continue;
      const lost = isFile(facts) ? this.#parts.layout.objectsIn(key) : undefined;
      if (lost !== undefined) yield* lost.filter((other) => other > this.#after).map(unreadable);
      else if (key > this.#after) yield await this.object(key, path, facts);
    }
  }

  /** @param found its facts, without following a link; an error of the disk instead of them */
  async object(key: Key, path: string, found: Stats | Error): Promise<ObjectFacts> {
    if (found instanceof Error) {
      if (await this.#parts.isReadableBut(path)) return unreadable(key);
      throw found;
    }
    const facts = found.isSymbolicLink() ? await stat(path).catch(() => found) : found;
    return facts.isFile() ? {key, sizeBytes: facts.size, modifiedAtMs: facts.mtimeMs} : unreadable(key);
  }

  /** @returns the folder that a link leads to; undefined if it leads to none, or back to one above it */
  async #folderBehind(folder: string, name: string, through: readonly string[]): Promise<string | undefined> {
    try {
      const path = join(folder, name);
      if (!(await stat(path)).isDirectory()) return undefined;
      const [target, ...above] = await Promise.all([path, folder, this.#parts.root].map((one) => realpath(one)));
      const leadsBack = [...above, ...through].some((seen) => `${seen}${sep}`.startsWith(`${target}${sep}`));
      return leadsBack ? undefined : target;
    } catch {
      return undefined;
    }
  }
}

const isFile = (facts: Stats | Error): facts is Stats => !(facts instanceof Error) && facts.isFile();
