import {statSync} from 'node:fs';
import {assert, BkpError} from '../../../errors/index.ts';
import type {Processes} from '../../../lib/processes.ts';
import type {
  DatabaseFacts,
  Mark,
  MergedTable,
  PublishedTable,
  SchemaObject,
  Staging,
  StoredBase,
  StoredTree,
  TableName,
  TableSchema,
  Tree,
} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import type {LayoutState} from '../layout/page-layout.ts';
import {definitionOf, type KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {type Checked, checkRestored, indexesAtFault, requireSound} from './check-restored.ts';
import {DeltaProgress} from './delta-progress.ts';
import {IndexBuilder, indexesOf, type RestoredIndex} from './index-builder.ts';
import {type BuildReport, IndexProgress, takeOverIndexes} from './index-progress.ts';
import type {Landing} from './landing.ts';
import {LoadedBytes} from './loaded-bytes.ts';
import {type PublishPlan, publishIntoDatabase, publishNewFile, syncRestored} from './publish.ts';
import {renameStaged} from './rename-staged.ts';
import {RestoredContent} from './restored-content.ts';
import {type StagedTable, stageTable} from './stage-table.ts';
import {StagingFile} from './staging-file.ts';
import {
  type DeltaState,
  type IndexState,
  readRecord,
  removeRecord,
  removeStaging,
  type StagingRecord,
  saveRecord,
} from './staging-record.ts';
import {rootsOf, skeletonOf, takeOver, takeOverDeltas} from './take-over.ts';
import {needsLandings, type StagedLanding, stageLandings} from './transfer-landing.ts';
import {type LoadedTree, TreeLoading} from './tree-loading.ts';

export type StagingInput = {
  schemas: readonly TableSchema[];
  objects: readonly SchemaObject[];
  facts: DatabaseFacts;
  bases: ReadonlyMap<TableName, StoredBase>;
  /** By the names in `schemas`: the schemas under which tables are published instead. */
  published: ReadonlyMap<TableName, TableSchema>;
  /** Present if another process may continue the staging. */
  continuing?: Continuing | undefined;
};

export type Continuing = {
  /** See `stage`. */
  plan: string;
  processes: Processes;
  /** Bytes between two records of how far it is. */
  everyBytes: number;
};

/** Where a segment of rows or keys is read from. */
const attachSegment = `ATTACH ':memory:' AS seg`;

const nameOf = ({name}: {name: string}) => name;

type FinishOptions = Parameters<Staging['finish']>[0];

/**
 * Tables in a separate file next to the database. First the trees of bases of records are laid out in it; then SQLite
 * opens it, applies rows and deltas, builds the other indexes and checks the result.
 */
export class SqliteStaging implements Staging {
  readonly #target: string;
  readonly #input: StagingInput;
  readonly #file: StagingFile;
  readonly #tables: ReadonlyMap<TableName, StagedTable>;
  #trees: TreeLoading;
  readonly #loaded = new LoadedBytes();
  #areTreesLaid = false;
  /** Present while rows and keys are applied, if the staging may be continued. */
  #deltas: DeltaProgress | undefined;
  /** What an ended process left of the phase in which indexes are built. */
  #left: IndexState | undefined;
  /** Whether a record says that the file is complete. */
  #isRecordedWhole = false;
  /** Of the file before trees are laid out; present if the staging may be continued. */
  readonly #skeleton: string | undefined;
  /** Statements of indexes that could not be built. */
  #lost: ReadonlySet<string> = new Set();
  /** Indexes with the entries of the source. */
  #laid: ReadonlyMap<string, RestoredIndex> = new Map();

  constructor(target: string, path: string, input: StagingInput) {
    this.#target = target;
    this.#input = input;
    this.#file = new StagingFile(path, input.facts as KeptFacts);
    try {
      const {schemas, bases} = input;
      this.#tables = new Map(
        schemas.map((schema, id) => [schema.name, stageTable(this.#file, {schema, base: bases.get(schema.name), id})]),
      );
      this.#skeleton = input.continuing && skeletonOf(this.#file.connection);
      this.#trees = this.#treesFrom(undefined);
    } catch (error) {
      this.#file.remove();
      throw error;
    }
  }

  #treesFrom(kept: LayoutState | undefined): TreeLoading {
    const {schemas, continuing} = this.#input;
    return new TreeLoading(this.#file, {
      wanted: schemas.flatMap(({name}) => this.wanted(name).map((tree) => tree.name)),
      syncEarly: this.#isNewFile(),
      kept,
      checkpoints: continuing && {
        everyBytes: continuing.everyBytes,
        save: (state) => saveRecord(this.#file.path, this.#recordOf(continuing, state)),
      },
    });
  }

  #recordOf(
    {plan, processes}: Continuing,
    state: LayoutState,
    {deltas, indexes}: {deltas?: DeltaState | undefined; indexes?: IndexState | undefined} = {},
  ): StagingRecord {
    const owner = processes.self() as StagingRecord['owner'];
    return {
      ...{version: indexes === undefined ? 2 : 3, plan, skeleton: this.#skeleton!, owner, state},
      ...(deltas === undefined ? {} : {deltas}),
      ...(indexes === undefined ? {} : {indexes}),
      loaded: this.#loaded.entries(),
    };
  }

  /** Of a file with all trees. */
  #allTrees(): LayoutState {
    return {pages: 0, done: [...this.#tables.keys()].flatMap((name) => this.wanted(name).map(nameOf))};
  }

  #deltasFrom(continuing: Continuing, done?: DeltaState['steps']): DeltaProgress {
    const state = this.#allTrees();
    return new DeltaProgress(this.#file, {
      ...{everyBytes: continuing.everyBytes, done},
      save: (deltas) => saveRecord(this.#file.path, this.#recordOf(continuing, state, {deltas})),
    });
  }

  /**
   * Continues with what a process that has ended left of the same plan; to be called before anything is loaded.
   * @returns false if it cannot be continued; then it is left to the caller
   */
  async continue(staged: string, record: StagingRecord): Promise<boolean> {
    const {continuing} = this.#input;
    if (continuing === undefined || record.plan !== continuing.plan || record.skeleton !== this.#skeleton) return false;
    const {state, deltas, indexes} = record;
    const {path} = this.#file;
    if (!this.#takesOver(staged, record)) return false;
    for (const [table, bytes] of record.loaded) this.#loaded.add(table, bytes);
    this.#trees = this.#treesFrom(state);
    if (deltas !== undefined) {
      this.#areTreesLaid = true;
      this.#deltas = this.#deltasFrom(continuing, deltas.steps);
      if (indexes?.isLanded) this.#left = {...indexes, isWriting: false};
      else {
        await this.#deltas.begin(false);
        this.#file.connection.exec(attachSegment);
      }
    }
    const now = {deltas: deltas && {...deltas, isMoving: false}, indexes: this.#left};
    await saveRecord(path, this.#recordOf(continuing, state, now));
    removeStaging(staged);
    return true;
  }

  #takesOver(staged: string, {state, deltas, indexes}: StagingRecord): boolean {
    const roots = rootsOf(this.#file.connection);
    this.#file.close();
    const {path} = this.#file;
    if (indexes !== undefined) return deltas !== undefined && takeOverIndexes(path, staged, indexes);
    return deltas === undefined ? takeOver(path, staged, state, roots) : takeOverDeltas(path, staged, deltas);
  }

  applied(): readonly {bytes: number; count: number}[] {
    return (this.#deltas?.steps ?? []).map(([bytes, count]) => ({bytes, count}));
  }

  present(tree: StoredTree): 'all' | {chunks: number; bytes: number} {
    return this.#trees.present(tree.name);
  }

  #isNewFile(): boolean {
    return statSync(this.#target, {throwIfNoEntry: false}) === undefined;
  }

  wanted(table: TableName): readonly Tree[] {
    return this.#tables.get(table)!.plan?.trees ?? [];
  }

  async loadTree(table: TableName, tree: LoadedTree, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    assert(!this.#areTreesLaid, 'all trees come before rows and keys');
    await this.#trees.load(table, tree, this.#counted(table, tree, chunks));
  }

  async *#counted(table: TableName, tree: LoadedTree, chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      if (tree.name === table) this.#loaded.add(table, chunk.byteLength);
      yield chunk;
    }
  }

  async load(name: TableName, segment: Uint8Array): Promise<number> {
    const {connection, landing} = await this.#rowsOf(name);
    this.#loaded.add(name, segment.byteLength);
    return this.#step(segment, () => {
      connection.deserialize('seg', segment);
      return landing.load();
    });
  }

  async removeKeys(name: TableName, segment: Uint8Array): Promise<number> {
    const {connection, landing} = await this.#rowsOf(name);
    return this.#step(segment, () => {
      connection.deserialize('seg', segment);
      return landing.removeKeys();
    });
  }

  async #step({byteLength}: Uint8Array, apply: () => number): Promise<number> {
    return this.#deltas === undefined ? apply() : this.#deltas.step(byteLength, apply);
  }

  async #rowsOf(name: TableName): Promise<{connection: Connection; landing: Landing}> {
    assert(this.#left === undefined, 'all rows and keys come before indexes');
    await this.#endTrees();
    const {landing} = this.#tables.get(name)!;
    assert(landing !== undefined, `the base of ${name} has deltas`);
    return {connection: this.#file.connection, landing};
  }

  /** Closes the file, which stays. */
  closeFile(): void {
    this.#file.close();
  }

  /** From now on, nothing continues the staging. */
  protected endRecord(): void {
    if (this.#input.continuing !== undefined) removeRecord(this.#file.path);
  }

  /** From now on SQLite has the file. */
  async #endTrees(): Promise<void> {
    if (this.#areTreesLaid) return;
    this.#areTreesLaid = true;
    await this.#trees.finish();
    for (const {plan, landing} of this.#tables.values()) if (plan !== undefined) landing?.adopt();
    const {continuing} = this.#input;
    if (continuing !== undefined && this.#hasLandings()) {
      this.#deltas = this.#deltasFrom(continuing);
      await this.#deltas.begin(true);
    }
    this.#file.connection.exec(attachSegment);
  }

  #hasLandings(): boolean {
    return [...this.#tables.values()].some(({landing}) => landing !== undefined);
  }

  /** What SQLite knows about a table. */
  tableOf(name: TableName): Table {
    return this.#tables.get(name)!.table;
  }

  /** The connection to the file; not while trees are loaded. */
  get connection(): Connection {
    return this.#file.connection;
  }

  async finish(options: FinishOptions): Promise<readonly PublishedTable[]> {
    const {notice = () => {}} = options;
    const step = stepper(options);
    const {builder, laid} = await this.build({...options, notice});
    await step('Check');
    let content = this.#contentToRead(options);
    const repair = async (found: Checked) => {
      await content.ended();
      // An index that is rebuilt uses pages that a record names.
      this.endRecord();
      for (const name of indexesAtFault(found)) {
        const index = laid.get(name);
        if (index === undefined) continue;
        await step('Indexes');
        notice(`index ${index.name} did not match the rows of ${index.table.name} in the backup, and was rebuilt`);
        builder.rebuild(index);
        laid.delete(name);
      }
      // Where pages are moved (auto_vacuum), a table may have another root now.
      if (!content.hasBegun) content = this.#contentToRead(options);
    };
    try {
      const checked = await this.#checked(options, {beside: () => content.begin(), repair});
      requireSound(checked, notice);
      const contents = await content.result();
      // Nothing says how far it is renamed.
      if (this.#isRecordedWhole && this.#input.published.size > 0) this.endRecord();
      const names = renameStaged(this.#file.connection, this.#input);
      this.#lost = new Set([...builder.lost].map(names.statement));
      this.#laid = new Map([...laid.values()].map((index) => names.index(index)).map((index) => [index.name, index]));
      return [...this.#tables.values()].map(({schema, table}) => ({
        name: schema.name,
        rows: checked.rows.get(table.name)!,
        content: contents.get(schema.name),
      }));
    } finally {
      await content.stop();
    }
  }

  #contentToRead({contentOf = new Set(), signal}: FinishOptions): RestoredContent {
    const wanted = [...this.#tables.values()].filter(({schema}) => contentOf.has(schema.name));
    const tables = wanted.map(({schema, table}) => ({name: schema.name, table, bytes: this.#loaded.of(schema.name)}));
    return new RestoredContent(this.#file, tables, signal);
  }

  /** Moves all rows into their tables and builds the indexes that were not laid out. */
  async build(
    options: Pick<FinishOptions, 'signal' | 'progress'> & {notice: (text: string) => void},
  ): Promise<{builder: IndexBuilder; laid: Map<string, RestoredIndex>}> {
    const step = stepper(options);
    await step('Indexes');
    await this.#endTrees();
    const notices: string[] = [];
    const notice = (text: string) => {
      notices.push(text);
      options.notice(text);
    };
    const builder = new IndexBuilder(this.#file, this.#loaded, notice);
    const progress = this.#indexProgress(() => ({notices, lost: [...builder.lost]}));
    for (const text of this.#left?.notices ?? []) notice(text);
    for (const sql of this.#left?.lost ?? []) builder.lost.add(sql);
    await this.#beginIndexes(progress);
    const laid = new Map<string, RestoredIndex>();
    for (const {schema, table, plan} of this.#tables.values()) {
      await step('Indexes');
      const bytes = this.#loaded.of(schema.name);
      for (const index of indexesOf(this.#file.connection, table, schema)) {
        await step('Indexes');
        if (plan?.indexes.has(index.name)) laid.set(index.name, index);
        else if (progress === undefined) builder.build(index);
        else if (!progress.has(index.name)) await progress.build(index.name, bytes, () => builder.build(index));
      }
    }
    await progress?.end();
    this.#isRecordedWhole = progress !== undefined;
    return {builder, laid};
  }

  /** Absent where all is repeated: what another process cannot use, and what takes no longer than a note of it. */
  #indexProgress(report: () => BuildReport): IndexProgress | undefined {
    const {continuing} = this.#input;
    if (continuing === undefined || this.#deltas === undefined) return undefined;
    const {everyBytes} = continuing;
    if (this.#left === undefined && this.#loaded.total < everyBytes) return undefined;
    const state = this.#allTrees();
    const deltas = {steps: this.#deltas.steps, isMoving: false};
    return new IndexProgress(this.#file, {
      ...{everyBytes, report, left: this.#left},
      save: (indexes) => saveRecord(this.#file.path, this.#recordOf(continuing, state, {deltas, indexes})),
    });
  }

  /** Moves all rows into their tables. */
  async #beginIndexes(progress: IndexProgress | undefined): Promise<void> {
    const land = () => {
      for (const {landing} of this.#tables.values()) landing?.land();
    };
    if (progress === undefined) {
      // Indexes change pages that a record of rows and keys names. Without these, all that follows does not.
      if (this.#deltas !== undefined) this.endRecord();
      this.#file.connection.exec('DETACH seg');
      this.#file.beginIndexes();
      land();
      return;
    }
    if (this.#left === undefined) {
      await this.#deltas!.checkpoint();
      this.#file.connection.exec('DETACH seg');
      this.#file.endLoggedDeltas();
    }
    await progress.begin(land);
  }

  /**
   * @param options.beside called when threads begin to check
   * @param options.repair called with the faults, if there are any; then the check is repeated
   */
  async #checked(
    {check, signal}: FinishOptions,
    {beside, repair}: {beside: () => void; repair: (found: Checked) => Promise<void>},
  ): Promise<Checked> {
    const tables = [...this.#tables.values()];
    const sizes = new Map(tables.map(({schema, table}) => [table.name, this.#loaded.of(schema.name)]));
    const found = await checkRestored(this.#file, {check, sizes, signal, beside});
    if (indexesAtFault(found).size === 0) return found;
    await repair(found);
    return checkRestored(this.#file, {check, sizes, signal});
  }

  async publish(options: {
    resume?: {owner: string; mark: Mark} | undefined;
    signal?: AbortSignal | undefined;
    notice?: ((text: string) => void) | undefined;
  }): Promise<void> {
    const {notice = () => {}, resume} = options;
    const isNewFile = this.#isNewFile();
    // The file itself becomes the database. Into a database, its tables are copied: a restore that is interrupted then
    // copies them again.
    if (isNewFile) {
      this.#file.close();
      syncRestored(this.#file.path);
      this.endRecord();
    }
    const plan = (): PublishPlan => ({
      target: this.#target,
      staged: this.#file.path,
      schemas: this.published(),
      objects: this.#input.objects,
      facts: this.#input.facts as KeptFacts,
      copiedIndexes: this.copiedIndexes,
      notice,
      resume,
    });
    if (isNewFile) publishNewFile(this.#file.connection, plan());
    else
      this.withStaged(notice, (landings) =>
        publishIntoDatabase(plan(), landings, () => removeStaging(this.#file.path)),
      );
    await this.discard();
  }

  /**
   * Closes the file, for another connection that copies tables out of it.
   * @param use is called again with indexes that SQLite built, if those of the backup cannot be copied
   */
  protected withStaged<T>(
    notice: (text: string) => void,
    use: (landings: ReadonlyMap<TableName, StagedLanding>) => T,
  ): T {
    const landings = this.#stageLandings();
    try {
      return use(landings);
    } catch (error) {
      if (this.#laid.size === 0 || !(error instanceof BkpError) || error.code !== 'SOURCE_DAMAGED') throw error;
      // SQLite copies no index whose entries are not in its order. Those that are built use pages that a record names.
      this.endRecord();
      for (const {landing} of landings.values()) landing.land();
      this.#rebuildLaidIndexes(notice);
      return use(this.#stageLandings());
    }
  }

  #stageLandings(): ReadonlyMap<TableName, StagedLanding> {
    // It may move trees into landings, which no record says.
    if (this.#isRecordedWhole && needsLandings(this.#file, this.published())) this.endRecord();
    const landings = stageLandings(this.#file, this.published());
    this.#file.close();
    return landings;
  }

  async merge(_: Parameters<Staging['merge']>[0]): Promise<readonly MergedTable[]> {
    throw new Error('the tables were not staged for a merge');
  }

  async compare(_: Parameters<Staging['compare']>[0]): Promise<readonly MergedTable[]> {
    throw new Error('the tables were not staged for a merge');
  }

  #rebuildLaidIndexes(notice: (text: string) => void): void {
    const builder = new IndexBuilder(this.#file, this.#loaded, notice);
    for (const index of this.#laid.values()) builder.rebuild(index);
    this.#laid = new Map();
    this.#lost = new Set([...this.#lost, ...builder.lost]);
    this.#file.close();
    notice('indexes of the backup cannot be copied: their entries are not in order, so they were built from the rows');
  }

  /** The schemas that are published, without what could not be built. */
  protected published(): readonly TableSchema[] {
    const {schemas, published} = this.#input;
    const all = schemas.map((schema) => published.get(schema.name) ?? schema);
    if (this.#lost.size === 0) return all;
    return all.map((schema) => {
      const {indexes} = definitionOf(schema);
      return {...schema, definition: {...schema.definition, indexes: indexes.filter((sql) => !this.#lost.has(sql))}};
    });
  }

  /** Indexes with the entries of the source. */
  protected get copiedIndexes(): ReadonlySet<string> {
    return new Set(this.#laid.keys());
  }

  async leave(): Promise<boolean> {
    await this.#trees.close();
    if (readRecord(this.#file.path) !== undefined) await this.#deltas?.checkpoint();
    this.#file.close();
    if (readRecord(this.#file.path) !== undefined) return true;
    await this.discard();
    return false;
  }

  async discard(): Promise<void> {
    // It writes to the file.
    await this.#trees.close();
    this.#file.close();
    removeStaging(this.#file.path);
  }
}

/** Lets cancellation and progress run between long steps. */
function stepper({progress, signal}: Pick<FinishOptions, 'progress' | 'signal'>): (name: string) => Promise<void> {
  return async (name) => {
    progress?.(name);
    await new Promise(setImmediate);
    signal?.throwIfAborted();
  };
}
