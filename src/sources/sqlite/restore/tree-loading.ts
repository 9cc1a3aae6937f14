import {assert, BkpError} from '../../../errors/index.ts';
import type {TableName, Tree} from '../../source.ts';
import {translated} from '../engine/errors.ts';
import {NotRecords} from '../layout/not-records.ts';
import {type Checkpoints, type LayoutState, PageLayout, type TreeState} from '../layout/page-layout.ts';
import type {StagingFile} from './staging-file.ts';

/** Two fill pages as fast as a disk takes them. */
const threads = 2;
/** They take 50 ms to start, in which this thread lays out more than this. */
const hereUpToBytes = 2 * 1024 * 1024;

/** `records`: to be checked; absent for a part of a tree. */
export type LoadedTree = Tree & {records?: number | undefined};

/** Lays out trees in the staging file, which SQLite has closed meanwhile. */
export class TreeLoading {
  readonly #file: StagingFile;
  readonly #syncEarly: boolean;
  readonly #checkpoints: Checkpoints | undefined;
  /** Trees that an earlier process completed, and the one that it had begun. */
  readonly #kept: Pick<LayoutState, 'done' | 'tree'>;
  readonly #missing: Set<string>;
  /** The tables that the trees belong to. */
  readonly #tables = new Map<string, TableName>();
  #roots = new Map<string, number>();
  #layout: PageLayout | undefined;

  /**
   * @param options.wanted the names of all trees; they exist, empty
   * @param options.syncEarly whether the file will be synced
   * @param options.kept what an earlier process left in the file
   */
  constructor(
    file: StagingFile,
    options: {
      wanted: readonly string[];
      syncEarly: boolean;
      checkpoints: Checkpoints | undefined;
      kept: Pick<LayoutState, 'done' | 'tree'> | undefined;
    },
  ) {
    const {wanted, syncEarly, checkpoints, kept = {done: []}} = options;
    this.#file = file;
    this.#syncEarly = syncEarly;
    this.#kept = kept;
    this.#checkpoints = checkpoints && {
      ...checkpoints,
      save: (state) => checkpoints.save({...state, done: [...kept.done, ...state.done]}),
    };
    const done = new Set(kept.done);
    this.#missing = new Set(wanted.filter((name) => !done.has(name)));
  }

  /** How much of a tree is in the file already. */
  present(name: string): 'all' | Pick<TreeState, 'chunks' | 'bytes'> {
    if (this.#kept.done.includes(name)) return 'all';
    const {tree} = this.#kept;
    return tree?.name === name ? tree : {chunks: 0, bytes: 0};
  }

  /** @throws BkpError `OBJECT_DAMAGED` when they are not the tree's records, or an earlier tree's were not */
  async load(table: TableName, tree: LoadedTree, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const {name, kind, records} = tree;
    assert(this.#missing.delete(name), `${name} was wanted, and comes once`);
    this.#tables.set(name, table);
    await this.#explained(async () => {
      const layout = await this.#begin();
      const {tree: kept} = this.#kept;
      await layout.addTree(
        {name, kind, records, root: this.#roots.get(name)!},
        chunks,
        kept?.name === name ? kept : undefined,
      );
    });
  }

  /** SQLite can open the file then. */
  async finish(): Promise<void> {
    assert(this.#missing.size === 0, `the trees ${[...this.#missing].join(', ')} were wanted`);
    if (this.#layout === undefined) return;
    await this.#explained(() => this.#layout!.finish());
    await this.close();
    this.#file.beginDeltas();
  }

  async close(): Promise<void> {
    await this.#layout?.close();
    this.#layout = undefined;
  }

  async #begin(): Promise<PageLayout> {
    if (this.#layout !== undefined) return this.#layout;
    const rows = this.#file.connection.all(
      `SELECT name, rootpage FROM main.sqlite_schema WHERE type IN ('table', 'index')`,
    );
    this.#roots = new Map(rows.map(({name, rootpage}) => [String(name), Number(rootpage)]));
    this.#file.close();
    this.#layout = await PageLayout.open(this.#file.path, {
      ...{threads, hereUpToBytes, syncEarly: this.#syncEarly, checkpoints: this.#checkpoints},
    });
    return this.#layout;
  }

  async #explained<T>(body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      if (!(error instanceof NotRecords)) throw translated(error, this.#file.path);
      throw new BkpError('OBJECT_DAMAGED', `what the backup holds as records of a table is none: ${error.message}`, {
        cause: error,
        next: 'restore another backup, and report this: the bytes are those that were written',
        context: {table: error.tree === undefined ? undefined : this.#tables.get(error.tree)},
      });
    }
  }
}
