import {join} from 'node:path';
import {type ControlFile, readControlFile} from './bytes.ts';
import {ColumnVersions} from './column-versions.ts';
import {decodeMeta, type TableMeta} from './meta.ts';
import {decodeTxn, type TableTxn} from './txn.ts';

/** One table as the moment has it. */
export type TableState = {
  /** As users write it. */
  name: string;
  /** Its folder below `db`: `trades~4`, or the name itself for a table without WAL. */
  folder: string;
  meta: TableMeta;
  txn: TableTxn;
  columns: ColumnVersions;
  /** The last transaction that the sequencer had given out; absent in a table without WAL. */
  lastTxn?: number;
  /** A view of which the checkpoint has no `_txn`. */
  isBareView?: true;
};

/**
 * @param control folder with the table's `_txn`, `_meta`, `_cv`, `_name` as they were at the moment
 * @returns undefined for a folder that holds no table
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
 * A view of QuestDB 9.3.0: its checkpoint has the definition alone. It has no rows, and its other files are in its own folder.
 * @returns undefined for what is no view
 */
export function readView(root: string, folder: string): TableState | undefined {
  if (readControlFile(join(root, '.checkpoint/db', folder, '_view')) === undefined) return undefined;
  const name = readControlFile(join(root, 'db', folder, '_name'));
  return {
    name: nameOf(name, folder),
    folder,
    isBareView: true,
    meta: {partitionBy: 'NOT_APPLICABLE', timestampUnit: 'micros', columns: []},
    txn: {rows: 0, sequencerTxn: Number.MAX_SAFE_INTEGER, partitions: []},
    columns: new ColumnVersions(),
  };
}

// Tables that a version before 7 made have no `_name`.
const nameOf = (file: ControlFile | undefined, folder: string) => file?.text(0).value ?? folder.replace(/~\d+$/, '');
