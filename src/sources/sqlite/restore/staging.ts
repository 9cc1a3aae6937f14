import {statSync} from 'node:fs';
import {assert} from '../../../errors/index.ts';
import type {
  DatabaseFacts,
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
import type {KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {checkTables} from './check-phase.ts';
import type {DeltaProgress} from './delta-progress.ts';
import {type BuiltIndexes, buildIndexes, type LoadedStaging} from './index-phase.ts';
import type {Landing} from './landing.ts';
import {LoadedBytes} from './loaded-bytes.ts';
import {type PublishPlan, publishIntoDatabase, publishNewFile, syncRestored} from './publish.ts';
import {Publishable} from './publishable.ts';
import {type StagedTable, stageTable} from './stage-table.ts';
import {StagingFile} from './staging-file.ts';
import {type Continuing, StagingNotes} from './staging-notes.ts';
import {type IndexState, readRecord, removeStaging, type StagingRecord} from './staging-record.ts';
import {stepper} from './stepper.ts';
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

/** Where a segment of rows or keys is read from. */
const attachSegment = `ATTACH ':memory:' AS seg`;

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
  readonly #notes: StagingNotes | undefined;
  /** Present while rows and keys are applied, if the staging may be continued. */
  #deltas: DeltaProgress | undefined;
  /** What an ended process left of the phase in which indexes are built. */
  #left: IndexState | undefined;
  /** Present when the tables are checked. */
  #publishable: Publishable | undefined;

  constructor(target: string, path: string, input: StagingInput) {
    this.#target = target;
    this.#input = input;
    this.#file = new StagingFile(path, input.facts as KeptFacts);
    try {
      const {schemas, bases, continuing} = input;
      this.#tables = new Map(
        schemas.map((schema, id) => [schema.name, stageTable(this.#file, {schema, base: bases.get(schema.name), id})]),
      );
      const [loaded, trees] = [this.#loaded, this.#wantedTrees()];
      this.#notes = continuing && new StagingNotes(this.#file, {continuing, loaded, trees});
      this.#trees = this.#treesFrom(undefined);
    } catch (error) {
      this.#file.remove();
      throw error;
    }
  }

  #treesFrom(kept: LayoutState | undefined): TreeLoading {
    return new TreeLoading(this.#file, {
      ...{wanted: this.#wantedTrees(), syncEarly: this.#isNewFile(), kept},
      checkpoints: this.#notes?.ofTrees(),
    });
  }

  #wantedTrees(): readonly string[] {
    return this.#input.schemas.flatMap((schema) => this.wanted(schema.name).map(({name}) => name));
  }

  /**
   * Continues with what a process that has ended left of the same plan; to be called before anything is loaded.
   * @returns false if it cannot be continued; then it is left to the caller
   */
  async continue(staged: string, record: StagingRecord): Promise<boolean> {
    const notes = this.#notes;
    if (notes === undefined || !notes.takeOver(staged, record)) return false;
    const {state, deltas, indexes} = record;
    this.#trees = this.#treesFrom(state);
    if (deltas !== undefined) {
      this.#areTreesLaid = true;
      this.#deltas = notes.ofDeltas(deltas.steps);
      if (indexes?.isLanded) this.#left = {...indexes, isWriting: false};
      else {
        await this.#deltas.begin(false);
        this.#file.connection.exec(attachSegment);
      }
    }
    await notes.saveTakenOver(record, this.#left);
    removeStaging(staged);
    return true;
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
    this.#notes?.end();
  }

  /** From now on SQLite has the file. */
  async #endTrees(): Promise<void> {
    if (this.#areTreesLaid) return;
    this.#areTreesLaid = true;
    await this.#trees.finish();
    const tables = [...this.#tables.values()];
    for (const {plan, landing} of tables) if (plan !== undefined) landing?.adopt();
    if (tables.some(({landing}) => landing !== undefined)) {
      this.#deltas = this.#notes?.ofDeltas();
      await this.#deltas?.begin(true);
    }
    this.#file.connection.exec(attachSegment);
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
    const built = await this.build({...options, notice});
    const staging = this.#state();
    const {checked, contents} = await checkTables(staging, built, {...options, step: stepper(options), notice});
    this.#publishable = new Publishable(staging, built, this.#input);
    return staging.tables.map(({schema, table}) => ({
      name: schema.name,
      rows: checked.rows.get(table.name)!,
      content: contents.get(schema.name),
    }));
  }

  /** Moves all rows into their tables and builds the indexes that were not laid out. */
  async build(
    options: Pick<FinishOptions, 'signal' | 'progress'> & {notice: (text: string) => void},
  ): Promise<BuiltIndexes> {
    const step = stepper(options);
    await step('Indexes');
    await this.#endTrees();
    return buildIndexes(this.#state(), {step, notice: options.notice});
  }

  #state(): LoadedStaging {
    return {
      ...{file: this.#file, tables: [...this.#tables.values()], loaded: this.#loaded},
      ...{notes: this.#notes, deltas: this.#deltas, left: this.#left},
    };
  }

  async publish(options: Parameters<Staging['publish']>[0]): Promise<void> {
    const {notice = () => {}, resume} = options;
    const isNewFile = this.#isNewFile();
    // The file itself becomes the database. Into a database, its tables are copied: a restore that is interrupted then
    // copies them again.
    if (isNewFile) {
      this.#file.close();
      syncRestored(this.#file.path);
      this.endRecord();
    }
    const {objects, facts} = this.#input;
    const plan = (): PublishPlan => ({
      ...{target: this.#target, staged: this.#file.path, objects, facts: facts as KeptFacts, notice, resume},
      ...{schemas: this.publishable.schemas, copiedIndexes: this.publishable.copiedIndexes},
    });
    const release = () => removeStaging(this.#file.path);
    if (isNewFile) publishNewFile(this.#file.connection, plan());
    else {
      const {publishable} = this;
      publishable.copy(
        () => publishable.schemas,
        notice,
        (landings) => publishIntoDatabase(plan(), landings, release),
      );
    }
    await this.discard();
  }

  protected get publishable(): Publishable {
    assert(this.#publishable !== undefined, 'tables are checked before they are published');
    return this.#publishable;
  }

  async merge(_: Parameters<Staging['merge']>[0]): Promise<readonly MergedTable[]> {
    throw new Error('the tables were not staged for a merge');
  }

  async compare(_: Parameters<Staging['compare']>[0]): Promise<readonly MergedTable[]> {
    throw new Error('the tables were not staged for a merge');
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
