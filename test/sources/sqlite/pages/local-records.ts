import {requireTable} from '../../../../src/sources/sqlite/catalog/catalog.ts';
import {withConnection} from '../../../../src/sources/sqlite/engine/connection.ts';
import {NearExtractor} from '../../../../src/sources/sqlite/pages/near-extractor.ts';
import {TableRecords} from '../../../../src/sources/sqlite/pages/table-records.ts';
import {treesOf} from '../../../../src/sources/sqlite/pages/trees.ts';
import {openFiles} from './extract-trees.ts';
import {type TakenTree, takeTrees} from './records-of.ts';

/** `recordsOf` without a snapshot, for damaged files. No process may write to them. */
export async function localRecords(path: string, table: string): Promise<ReadonlyMap<string, TakenTree>> {
  const {files, close} = openFiles(path);
  const extractor = new NearExtractor(files);
  try {
    const records = withConnection(path, {}, (connection) => {
      const trees = treesOf(connection, requireTable(connection, table), {omitIndexes: false});
      const options = {path, table, files, extractor, trees, previous: undefined, ahead: 2};
      return new TableRecords({...options, countRows: () => 0, onOddKey: () => {}});
    });
    return await takeTrees(records.trees());
  } finally {
    close();
  }
}
