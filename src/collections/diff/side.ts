import type {Meter} from '../../backups/index.ts';
import type {ScratchTables, TableName, TableSchema} from '../../sources/index.ts';
import type {TableBackup} from '../stored/manifest.ts';

/** What loading a table needs. */
export type LoadTools = {
  /** Of a file that does not exist. */
  path: string;
  meter: Meter;
  signal: AbortSignal;
  /** @throws BkpError when the disk has no room for so many bytes */
  requireRoom: (bytes: number) => void;
};

/** Identity of a segment of a base: equal ones hold equal rows, in tables of one fingerprint. */
export type SegmentId = string;

/** A table as it is after the changes that are looked for. */
export interface TableAfter {
  readonly schema: TableSchema;
  /**
   * How it continues the same table of the backup before it.
   * - `equal`: nothing changed
   * - `shared`: its first layers are the first ones of the other, as many as this
   */
  since(before: TableBackup): Promise<{equal: boolean; sharedDeltas: number}>;
  /** The keys that changed after what it shares with the other: segments of keys. */
  changedKeys(sharedDeltas: number): AsyncIterable<Uint8Array>;
  /**
   * Loads the table, without the segments of its base that are in `skip`.
   * @returns those that it has and left out
   */
  load(
    tools: LoadTools,
    skip: ReadonlySet<SegmentId>,
  ): Promise<{scratch: ScratchTables; skipped: ReadonlySet<SegmentId>}>;
}

/** All tables of a backup, or of a database now. */
export interface After {
  readonly tables: ReadonlyMap<TableName, TableAfter>;
  /** @throws BkpError `SOURCE_UNAVAILABLE` when the view of the database did not hold throughout */
  confirm(): Promise<void>;
  close(): Promise<void>;
}
