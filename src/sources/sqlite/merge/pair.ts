import type {Table} from '../schema/table.ts';

/** A living table, its state in the backup, and how one becomes the other. */
export type MergedPair = {
  table: Table;
  stored: Table;
  /** `swap`: the table is replaced with its schema; `differences`: how the one in the backup differs. */
  how: {kind: 'rows'} | {kind: 'swap'; differences: readonly string[]};
};
