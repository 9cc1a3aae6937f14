import {join} from 'node:path';
import {readControlFile} from './bytes.ts';
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
    // Tables that a version before 7 made have no `_name`.
    name: name?.text(0).value ?? folder.replace(/~\d+$/, ''),
    folder,
    meta: decodeMeta(meta),
    txn: decodeTxn(txn),
    columns: new ColumnVersions(versions),
  };
}
