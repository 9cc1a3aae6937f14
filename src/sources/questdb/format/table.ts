import {join} from 'node:path';
import {type ControlFile, readControlFile} from './bytes.ts';
import {ColumnVersions} from './column-versions.ts';
import {decodeMeta, type TableMeta} from './meta.ts';
import {decodeTxn, type TableTxn} from './txn.ts';

/** Files that each table has, and nothing else below `db`. A dropped table may keep its `txn_seq` for a while. */
export const tableMarks = ['_txn', '_meta', '_cv', '_name'];

/** One table at the time of the backup. */
export type TableState = {
  /** The name that users write. */
  name: string;
  /** Its folder below `db`: `trades~4`, or the plain name for a table without WAL. */
  folder: string;
  meta: TableMeta;
  txn: TableTxn;
  columns: ColumnVersions;
  /** The last transaction of the sequencer; absent for a table without WAL. */
  lastTxn?: number | undefined;
  /** A view that has no `_meta`. */
  isBareView?: true;
};

/**
 * @param control folder that contains the table's `_txn`, `_meta`, `_cv` and `_name` at the time of the backup
 * @returns undefined for a folder that is not a table
 * @throws BkpError `SOURCE_DAMAGED` | `SOURCE_UNAVAILABLE`
 */
export function readTable(control: string, folder: string): Omit<TableState, 'lastTxn'> | undefined {
  const [txn, meta, versions, name] = ['_txn', '_meta', '_cv', '_name'].map((file) =>
    readControlFile(join(control, file)),
  );
  if (txn === undefined || meta === undefined) return undefined;
  return {
    name: nameOf(name, folder),
    folder,
    meta: decodeMeta(meta),
    txn: decodeTxn(txn),
    columns: new ColumnVersions(versions),
  };
}

/**
 * A view of QuestDB 9.3.0, which has no `_meta`. A checkpoint contains only its definition; its other files are in its
 * own folder. It has no rows.
 * @param control folder that contains its `_view` at the time of the backup
 * @returns undefined for a folder that is not a view
 */
export function readView(control: string, db: string, folder: string): TableState | undefined {
  if (readControlFile(join(control, '_view')) === undefined) return undefined;
  const name = readControlFile(join(db, folder, '_name'));
  return {
    name: nameOf(name, folder),
    folder,
    isBareView: true,
    meta: {partitionBy: 'NOT_APPLICABLE', timestampUnit: 'micros', timestampIndex: -1, columns: []},
    txn: {
      transaction: 0n,
      rows: 0,
      sequencerTxn: Number.MAX_SAFE_INTEGER,
      truncations: 0n,
      symbolCounts: [],
      partitions: [],
    },
    columns: new ColumnVersions(),
  };
}

// Tables created by a version before 7 have no `_name`.
const nameOf = (file: ControlFile | undefined, folder: string) => file?.text(0).value ?? folder.replace(/~\d+$/, '');
