import type {Mark, SchemaObject, TableSchema} from '../../source.ts';
import type {KeptFacts} from '../schema/schema.ts';

/** Input of the steps that follow the rows. */
export type Finishing = {
  schemas: readonly TableSchema[];
  objects: readonly SchemaObject[];
  /** Of the database that was backed up. */
  facts: KeptFacts;
  /** Indexes whose entries are those of the source; bkp's SQLite built the others. */
  copiedIndexes: ReadonlySet<string>;
  /** Where the chain continues. */
  resume?: {owner: string; mark: Mark} | undefined;
  notice: (text: string) => void;
};
