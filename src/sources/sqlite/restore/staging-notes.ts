import type {Processes} from '../../../lib/processes.ts';
import type {Checkpoints, LayoutState} from '../layout/page-layout.ts';
import {DeltaProgress} from './delta-progress.ts';
import {type BuildReport, IndexProgress, takeOverIndexes} from './index-progress.ts';
import type {LoadedBytes} from './loaded-bytes.ts';
import type {StagingFile} from './staging-file.ts';
import {type DeltaState, type IndexState, removeRecord, type StagingRecord, saveRecord} from './staging-record.ts';
import {rootsOf, skeletonOf, takeOver, takeOverDeltas} from './take-over.ts';

/** By which another process may continue a staging. */
export type Continuing = {
  /** See `stage`. */
  plan: string;
  processes: Processes;
  /** Bytes between two records of how far it is. */
  everyBytes: number;
};

/**
 * What a staging notes beside its file, so that another process can continue: how far the trees are; then, with all of
 * them, how far rows and keys are; then, with all of those, how far indexes are.
 */
export class StagingNotes {
  readonly #file: StagingFile;
  readonly #continuing: Continuing;
  readonly #loaded: LoadedBytes;
  /** Of the file before trees are laid out. */
  readonly #skeleton: string;
  /** Of a file with all trees. */
  readonly #allTrees: LayoutState;

  /**
   * @param file as SQLite made it, with empty tables
   * @param options.trees the names of all trees that are laid out
   */
  constructor(
    file: StagingFile,
    {continuing, loaded, trees}: {continuing: Continuing; loaded: LoadedBytes; trees: readonly string[]},
  ) {
    this.#file = file;
    this.#continuing = continuing;
    this.#loaded = loaded;
    this.#skeleton = skeletonOf(file.connection);
    this.#allTrees = {pages: 0, done: [...trees]};
  }

  ofTrees(): Checkpoints {
    return {everyBytes: this.#continuing.everyBytes, save: (state) => this.#save({state})};
  }

  /** @param done what is in the file already */
  ofDeltas(done?: DeltaState['steps']): DeltaProgress {
    return new DeltaProgress(this.#file, {
      ...{everyBytes: this.#continuing.everyBytes, done},
      save: (deltas) => this.#save({state: this.#allTrees, deltas}),
    });
  }

  /**
   * @param options.left what an ended process left of this phase
   * @returns undefined if building the indexes takes no longer than a note of it
   */
  ofIndexes({
    steps,
    left,
    report,
  }: {
    steps: DeltaState['steps'];
    left: IndexState | undefined;
    report: () => BuildReport;
  }): IndexProgress | undefined {
    const {everyBytes} = this.#continuing;
    if (left === undefined && this.#loaded.total < everyBytes) return undefined;
    const deltas = {steps, isMoving: false};
    return new IndexProgress(this.#file, {
      ...{everyBytes, report, left},
      save: (indexes) => this.#save({state: this.#allTrees, deltas, indexes}),
    });
  }

  /**
   * Replaces the file by the one that an ended process left.
   * @returns false if it is of another plan, or not as its record says; then it is left to the caller
   */
  takeOver(staged: string, record: StagingRecord): boolean {
    if (record.plan !== this.#continuing.plan || record.skeleton !== this.#skeleton) return false;
    if (!this.#takeOverFile(staged, record)) return false;
    for (const [table, bytes] of record.loaded) this.#loaded.add(table, bytes);
    return true;
  }

  #takeOverFile(staged: string, {state, deltas, indexes}: StagingRecord): boolean {
    const {path} = this.#file;
    const roots = rootsOf(this.#file.connection);
    this.#file.close();
    if (indexes !== undefined) return deltas !== undefined && takeOverIndexes(path, staged, indexes);
    return deltas === undefined ? takeOver(path, staged, state, roots) : takeOverDeltas(path, staged, deltas);
  }

  /** @param record of the ended process @param indexes what counts of them */
  async saveTakenOver({state, deltas}: StagingRecord, indexes: IndexState | undefined): Promise<void> {
    await this.#save({state, deltas: deltas && {...deltas, isMoving: false}, indexes});
  }

  async #save({state, deltas, indexes}: Pick<StagingRecord, 'state'> & Later): Promise<void> {
    const {plan, processes} = this.#continuing;
    await saveRecord(this.#file.path, {
      version: indexes === undefined ? 2 : 3,
      ...{plan, skeleton: this.#skeleton, owner: processes.self() as StagingRecord['owner'], state},
      ...(deltas === undefined ? {} : {deltas}),
      ...(indexes === undefined ? {} : {indexes}),
      loaded: this.#loaded.entries(),
    });
  }

  /** From now on, nothing continues the staging. */
  end(): void {
    removeRecord(this.#file.path);
  }
}

type Later = {deltas?: DeltaState | undefined; indexes?: IndexState | undefined};
