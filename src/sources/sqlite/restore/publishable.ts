import {BkpError} from '../../../errors/index.ts';
import type {TableName, TableSchema} from '../../source.ts';
import {definitionOf} from '../schema/schema.ts';
import {IndexBuilder, type RestoredIndex} from './index-builder.ts';
import type {BuiltIndexes, LoadedStaging} from './index-phase.ts';
import {renameStaged} from './rename-staged.ts';
import {needsLandings, type StagedLanding, stageLandings} from './transfer-landing.ts';

/** The tables of a checked staging file, under the names with which they are published. */
export class Publishable {
  readonly #staging: LoadedStaging;
  readonly #isRecorded: boolean;
  readonly #all: readonly TableSchema[];
  /** Statements of indexes that could not be built. */
  #lost: ReadonlySet<string>;
  /** Indexes with the entries of the source. */
  #laid: ReadonlyMap<string, RestoredIndex>;

  /** @param names by the names in `schemas`: the schemas under which tables are published instead */
  constructor(
    staging: LoadedStaging,
    {builder, laid, isRecorded}: BuiltIndexes,
    names: {schemas: readonly TableSchema[]; published: ReadonlyMap<TableName, TableSchema>},
  ) {
    this.#staging = staging;
    this.#isRecorded = isRecorded;
    this.#all = names.schemas.map((schema) => names.published.get(schema.name) ?? schema);
    // Nothing says how far it is renamed.
    if (isRecorded && names.published.size > 0) staging.notes?.end();
    const renamed = renameStaged(staging.file.connection, names);
    this.#lost = new Set([...builder.lost].map(renamed.statement));
    this.#laid = new Map([...laid.values()].map((index) => renamed.index(index)).map((index) => [index.name, index]));
  }

  /** Without what could not be built. */
  get schemas(): readonly TableSchema[] {
    if (this.#lost.size === 0) return this.#all;
    return this.#all.map((schema) => {
      const {indexes} = definitionOf(schema);
      return {...schema, definition: {...schema.definition, indexes: indexes.filter((sql) => !this.#lost.has(sql))}};
    });
  }

  /** Indexes with the entries of the source. */
  get copiedIndexes(): ReadonlySet<string> {
    return new Set(this.#laid.keys());
  }

  /**
   * Closes the file, for another connection that copies tables out of it.
   * @param schemas of the tables that are copied
   * @param use is called again with indexes that SQLite built, if those of the backup cannot be copied
   */
  copy<T>(
    schemas: () => readonly TableSchema[],
    notice: (text: string) => void,
    use: (landings: ReadonlyMap<TableName, StagedLanding>) => T,
  ): T {
    const landings = this.#stageLandings(schemas());
    try {
      return use(landings);
    } catch (error) {
      if (this.#laid.size === 0 || !(error instanceof BkpError) || error.code !== 'SOURCE_DAMAGED') throw error;
      // SQLite copies no index whose entries are not in its order. Those that are built use pages that a record names.
      this.#staging.notes?.end();
      for (const {landing} of landings.values()) landing.land();
      this.#rebuildLaidIndexes(notice);
      return use(this.#stageLandings(schemas()));
    }
  }

  #stageLandings(schemas: readonly TableSchema[]): ReadonlyMap<TableName, StagedLanding> {
    const {file, notes} = this.#staging;
    // It may move trees into landings, which no record says.
    if (this.#isRecorded && needsLandings(file, schemas)) notes?.end();
    const landings = stageLandings(file, schemas);
    file.close();
    return landings;
  }

  #rebuildLaidIndexes(notice: (text: string) => void): void {
    const {file, loaded} = this.#staging;
    const builder = new IndexBuilder(file, loaded, notice);
    for (const index of this.#laid.values()) builder.rebuild(index);
    this.#laid = new Map();
    this.#lost = new Set([...this.#lost, ...builder.lost]);
    file.close();
    notice('indexes of the backup cannot be copied: their entries are not in order, so they were built from the rows');
  }
}
