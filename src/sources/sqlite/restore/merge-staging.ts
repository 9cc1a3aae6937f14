import type {MergedTable, MergeMode, Staging, TableName} from '../../source.ts';
import {withConnection} from '../engine/connection.ts';
import type {KeptFacts} from '../schema/schema.ts';
import {applicationVersionOf} from '../tracking/application.ts';
import {copyLiving} from './living-copy.ts';
import {compareWithLiving, type MergePlan, mergeIntoLiving} from './merge-living.ts';
import {SqliteStaging, type StagingInput} from './staging.ts';
import {rehearsalPath, rehearsalStagingPath, removeStaging} from './staging-record.ts';

/** Tables of a backup that go into tables of the database. */
export class MergeStaging extends SqliteStaging {
  readonly #swapped: ReadonlySet<TableName>;
  readonly #path: string;
  readonly #plan: MergePlan;

  /** @param options.swapped tables that replace living ones; their schemas have indexes and triggers */
  constructor(
    target: string,
    path: string,
    input: StagingInput,
    {mode, swapped}: {mode: MergeMode; swapped: ReadonlySet<TableName>},
  ) {
    super(target, path, input);
    this.#swapped = swapped;
    this.#path = path;
    const tables = input.schemas.map(({name}) => this.tableOf(name));
    this.#plan = {target, staged: path, tables, mode, facts: input.facts as KeptFacts};
  }

  /**
   * A dry run does the same in a copy of the tables and of those that foreign keys connect with them: that finds out
   * what SQLite refuses, takes no lock that keeps writers waiting longer than a backup does, and leaves the database
   * alone. It needs the space of the copy beside the database.
   */
  override async merge(options: Parameters<Staging['merge']>[0]): Promise<readonly MergedTable[]> {
    const {dryRun, signal, notice = () => {}} = options;
    // What is copied out of the file may be moved within it first.
    this.endRecord();
    const {target} = this.#plan;
    const written = this.#written();
    if (!dryRun) return this.#mergeInto({target, written}, {notice, release: () => removeStaging(this.#path)});
    const copy = rehearsalPath(this.#path);
    await copyLiving({...this.#plan, copy, staging: rehearsalStagingPath(this.#path)}, {signal, notice});
    return this.#mergeInto({target: copy, written}, {notice, release: () => {}});
  }

  #written(): readonly number[] {
    const {target, facts} = this.#plan;
    const living = withConnection(target, {}, (connection) => applicationVersionOf(connection, target));
    return [living ?? 0, Number(facts.written_by ?? 0)];
  }

  #mergeInto(
    at: {target: string; written: readonly number[]},
    how: {notice: (text: string) => void; release: () => void},
  ): readonly MergedTable[] {
    const {publishable} = this;
    const {facts} = this.#plan;
    const schemas = () => publishable.schemas.filter(({name}) => this.#swapped.has(name));
    return publishable.copy(schemas, how.notice, (landings) =>
      mergeIntoLiving(
        {...this.#plan, ...at},
        {landings, schemas: schemas(), facts, copiedIndexes: publishable.copiedIndexes},
        how,
      ),
    );
  }

  override async compare({examples}: {examples: number}): Promise<readonly MergedTable[]> {
    this.closeFile();
    return compareWithLiving(this.#plan, examples);
  }
}
