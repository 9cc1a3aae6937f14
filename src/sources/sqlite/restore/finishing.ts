import type {Mark, SchemaObject, TableSchema} from '../../source.ts';
import type {KeptFacts} from '../schema/schema.ts';

/** What a restore still does when the rows are in place. */
export type Finishing = {
  schemas: readonly TableSchema[];
  objects: readonly SchemaObject[];
  /** Of the database that was backed up. */
  facts: KeptFacts;
  /** Where the chain goes on. */
  resume?: {owner: string; mark: Mark} | undefined;
  notice: (text: string) => void;
};
