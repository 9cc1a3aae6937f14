import type {TableContent, TakeOver} from '../../source.ts';
import type {TableColumns} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import type {ReadCuts, Seen} from './ranges.ts';

/** A table of which all rows are read, in one snapshot. */
export type TableToRead = {
  /** For small questions. */
  leader: Connection;
  /** They see the same snapshot; at least one, and it may be the leader. */
  readers: readonly Connection[];
  /** `ONLY "public"."orders"`: what stands behind FROM. */
  from: string;
  /** About how much the table is. */
  bytes: number;
  columns: TableColumns;
  previous: ReadCuts | undefined;
  /** What the next base needs to know to find unchanged ranges; absent if nothing can show that. */
  seen: Seen | undefined;
  /** Ranges of the base before that have not changed since are taken over without being read. */
  takeOver: KnownBefore | undefined;
  /** Called when all rows are known. */
  whole: (content: TableContent) => void;
  /** Called if all rows were counted, and by no index. */
  counted: (rows: number) => void;
};

/**
 * `xmin`: of the base before; every row of now that is older was visible to it. `isQuiet`: probably nothing has changed
 * since then.
 */
export type KnownBefore = Pick<TakeOver, 'isKept'> & {xmin: string; isQuiet: boolean};
