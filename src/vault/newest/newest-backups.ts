import {BkpError} from '../../errors/index.ts';
import {type Key, putAndRead, removeIfAllowed, type Store} from '../../stores/index.ts';
import {unlessDamaged} from '../format/damage.ts';
import {readDocument, readManifest, sealDocument} from '../format/manifest.ts';
import {hasVoidVerdict, listCounted} from '../lease/verdict.ts';
import type {BackupMemory, GoneBackup, KnownBackup} from '../types.ts';
import {isBackupFolder, type NewestKey, newestKey, parseNewestKey, removedKey} from './keys.ts';

type Folder = {
  /** Backups that have a manifest or a pin. */
  present: Set<string>;
  newest: string[];
  removed: {key: Key; backup: string}[];
};

const emptyFolder = (): Folder => ({present: new Set(), newest: [], removed: []});

export type NewestDeps = {store: Store; vault: string; memory: BackupMemory | undefined; randomId: () => string};

/**
 * Notices that the newest backups of an encrypted vault are gone, and nobody with its keys removed them.
 * docs/format.md, "Backups that are gone", says how.
 */
export class NewestBackups {
  readonly #deps: NewestDeps;
  /** What this home knew when the vault was opened, and has learned since. */
  readonly #known: Map<string, KnownBackup>;
  /** Folders whose entry in the home is out of date. */
  readonly #changed = new Set<string>();
  /** As the last complete listing of a folder showed it. */
  readonly #listed = new Map<string, Folder>();
  readonly #gone = new Map<string, GoneBackup>();
  /** The newest backup of a folder that was committed, and has no `newest/` document yet. */
  readonly #committed = new Map<string, string>();

  constructor(deps: NewestDeps) {
    this.#deps = deps;
    this.#known = new Map(deps.memory?.load(deps.vault));
  }

  /** Those below `prefix`, by the listings so far. */
  gone(prefix: string): readonly GoneBackup[] {
    return [...this.#gone.values()].filter(({folder}) => folder.startsWith(prefix));
  }

  /**
   * Watches a listing by `listCounted`.
   * @param options.isWhole it begins at the beginning of the prefix
   */
  watch(prefix: string, {isWhole}: {isWhole: boolean}) {
    const folders = new Map<string, Folder>();
    const isWatched = isBackupFolder(prefix) || ['', '.backups/', '.backups/collections/', 'backup/'].includes(prefix);
    const note = (key: Key) => {
      const parsed = isWatched ? parseNewestKey(key) : undefined;
      if (parsed !== undefined) add(folders, parsed, key);
      return parsed;
    };
    return {
      /** @returns true for a document that only this class reads */
      saw: (key: Key): boolean => ['newest', 'removed'].includes(note(key)?.kind ?? ''),
      ended: async (): Promise<void> => {
        if (!isWatched) return;
        if (isWhole) for (const folder of this.#known.keys()) if (folder.startsWith(prefix)) entry(folders, folder);
        for (const [folder, found] of folders) {
          // Without a backup after the last known one, the caller lists the folder again.
          if (isWhole || found.present.size > 0) await this.#check(folder, found);
        }
      },
    };
  }

  async #check(folder: string, listed: Folder): Promise<void> {
    this.#listed.set(folder, listed);
    const before = this.#gone.get(folder);
    this.#gone.delete(folder);
    if ((await this.#missing(folder, listed)) === undefined) return;
    // A backup may have been dropped, or one may have ended, while the store was listed.
    const again = await this.#list(folder);
    this.#listed.set(folder, again);
    const backup = await this.#missing(folder, again);
    if (backup === undefined) return;
    const isSeenHere = this.#known.get(folder)?.backup === backup;
    const gone: GoneBackup = {folder, backup, isSeenHere, ...(await this.#newestLeft(folder, again))};
    this.#gone.set(folder, gone);
    if (before?.backup !== backup) this.#deps.memory?.onGone?.(gone);
  }

  async #newestLeft(folder: string, {present}: Folder): Promise<{left?: string}> {
    for (const left of [...present].sort().reverse()) if (await this.#opens(folder, left)) return {left};
    return {};
  }

  async #list(folder: string): Promise<Folder> {
    const found = new Map<string, Folder>();
    for await (const {key} of listCounted(this.#deps.store, folder)) {
      const parsed = parseNewestKey(key);
      if (parsed !== undefined) add(found, parsed, key);
    }
    return entry(found, folder);
  }

  /** @returns the newest backup that is known and gone */
  async #missing(folder: string, found: Folder): Promise<string | undefined> {
    const known = this.#known.get(folder);
    const named = found.newest.toSorted().at(-1);
    let missing: string | undefined;
    if (known !== undefined && (await this.#isGone(folder, known.backup, found, known.removed))) missing = known.backup;
    // Removed by somebody with the keys, or never a backup: the next one that is opened is remembered.
    else if (known !== undefined && known === this.#known.get(folder) && !found.present.has(known.backup)) {
      this.#remember(folder, undefined);
    }
    if (named === undefined || (missing !== undefined && missing >= named)) return missing;
    const isGone = await this.#isGone(folder, named, found, []);
    return isGone && (await this.#isDocument(newestKey(folder, named))) ? named : missing;
  }

  /** @param before the `removed/` documents that existed when the backup did: they say nothing about it */
  async #isGone(folder: string, backup: string, found: Folder, before: readonly Key[]): Promise<boolean> {
    if (found.present.has(backup)) return false;
    for (const newer of found.present) if (newer > backup && (await this.#opens(folder, newer))) return false;
    for (const {key, backup: last} of found.removed) {
      if (last >= backup && !before.includes(key) && (await this.#isDocument(key))) return false;
    }
    return !(await hasVoidVerdict(this.#deps.store, `${folder}${backup}/manifest`));
  }

  /** A backup whose own manifest does not open may have a pin; that a user sees as damage. */
  async #opens(folder: string, backup: string): Promise<boolean> {
    const key = `${folder}${backup}/manifest`;
    if ((await unlessDamaged(readManifest(this.#deps.store, key))) === undefined) return false;
    this.opened(key);
    return true;
  }

  async #isDocument(key: Key): Promise<boolean> {
    return (await unlessDamaged(readDocument(this.#deps.store, key))) !== undefined;
  }

  /** A manifest was read, and opened. */
  opened(manifest: Key): void {
    const found = parseNewestKey(manifest);
    if (found?.kind !== 'manifest') return;
    const {folder, backup} = found;
    const before = this.#known.get(folder);
    if (before !== undefined && before.backup >= backup) return;
    const removed = this.#listed.get(folder)?.removed.map(({key}) => key) ?? before?.removed ?? [];
    this.#remember(folder, {backup, removed});
  }

  #remember(folder: string, known: KnownBackup | undefined): void {
    if (known === undefined) this.#known.delete(folder);
    else this.#known.set(folder, known);
    this.#changed.add(folder);
  }

  /** Writes what was learned into the home. */
  save(): void {
    const changed = new Map([...this.#changed].map((folder) => [folder, this.#known.get(folder)]));
    this.#changed.clear();
    if (changed.size > 0) this.#deps.memory?.save(this.#deps.vault, changed);
  }

  committed(manifest: Key): void {
    const found = parseNewestKey(manifest);
    if (found?.kind !== 'manifest') return;
    const {folder, backup} = found;
    if (backup > (this.#committed.get(folder) ?? '')) this.#committed.set(folder, backup);
    this.opened(manifest);
  }

  /** Puts what the commits have made the newest backups. Nothing needs it, so an error of the store ends it. */
  async announce(): Promise<void> {
    this.save();
    const committed = [...this.#committed];
    this.#committed.clear();
    for (const [folder, backup] of committed) await this.#announce(folder, backup).catch(unlessOfStore);
  }

  async #announce(folder: string, backup: string): Promise<void> {
    const {present, newest, removed} = this.#listed.get(folder) ?? emptyFolder();
    if ([...present].some((other) => other > backup)) return;
    const {store} = this.#deps;
    await store.put(newestKey(folder, backup), await document(backup), {ifAbsent: true});
    await removeIfAllowed(store, [
      ...newest.filter((other) => other < backup).map((other) => newestKey(folder, other)),
      ...removed.filter((other) => other.backup < backup).map(({key}) => key),
    ]);
  }

  /** Called under a collector's lease, before it removes manifests. Throws as the store does. */
  async beforeRemoval(manifests: readonly Key[]): Promise<void> {
    const folders = new Map<string, Set<string>>();
    for (const key of manifests) {
      const found = parseNewestKey(key);
      if (found?.kind !== 'manifest') continue;
      folders.set(found.folder, (folders.get(found.folder) ?? new Set()).add(found.backup));
    }
    for (const [folder, going] of folders) await this.#beforeRemovalIn(folder, going);
  }

  /** From now on, nobody expects a backup that is gone. Throws as the store does. */
  async accept({folder, backup}: GoneBackup): Promise<void> {
    const {store, randomId} = this.#deps;
    await putAndRead(store, removedKey(folder, backup, randomId()), await document(backup), {ifAbsent: true});
  }

  async #beforeRemovalIn(folder: string, going: ReadonlySet<string>): Promise<void> {
    const {store, randomId} = this.#deps;
    const found = await this.#list(folder);
    const newest = await this.#newestOf(folder, going, found);
    if (newest === undefined) return;
    const staying = [...found.present].filter((backup) => backup > newest && !going.has(backup));
    for (const backup of staying) if (await this.#opens(folder, backup)) return;
    await putAndRead(store, removedKey(folder, newest, randomId()), await document(newest), {ifAbsent: true});
    await removeIfAllowed(store, [
      ...found.newest.filter((other) => other <= newest).map((other) => newestKey(folder, other)),
      ...found.removed.filter((other) => other.backup <= newest).map(({key}) => key),
    ]);
  }

  /** Of those that go, the newest one that was a backup for certain, even if it is damaged now. */
  async #newestOf(folder: string, going: ReadonlySet<string>, {newest}: Folder): Promise<string | undefined> {
    for (const backup of [...going].sort().reverse()) {
      const isNamed = newest.includes(backup) && (await this.#isDocument(newestKey(folder, backup)));
      if (isNamed || this.#known.get(folder)?.backup === backup || (await this.#opens(folder, backup))) return backup;
    }
    return undefined;
  }
}

const document = (backup: string) => sealDocument({version: 1, backup});

function entry(folders: Map<string, Folder>, folder: string): Folder {
  const found = folders.get(folder) ?? emptyFolder();
  folders.set(folder, found);
  return found;
}

function add(folders: Map<string, Folder>, {folder, backup, kind}: NewestKey, key: Key): void {
  const found = entry(folders, folder);
  if (kind === 'newest') found.newest.push(backup);
  else if (kind === 'removed') found.removed.push({key, backup});
  else found.present.add(backup);
}

function unlessOfStore(error: unknown): void {
  if (!(error instanceof BkpError)) throw error;
}
