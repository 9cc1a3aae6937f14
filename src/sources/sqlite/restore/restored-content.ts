import {closeSync, fstatSync, openSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import type {TableContent, TableName} from '../../source.ts';
import {TakeRows} from '../../take-rows.ts';
import {ContentScan} from '../pages/content-scan.ts';
import {readingError} from '../pages/damage.ts';
import type {PageFiles} from '../pages/page-files.ts';
import {PageReader} from '../pages/page-reader.ts';
import {treesOf} from '../pages/trees.ts';
import {noPageVisited} from '../pages/visited-pages.ts';
import {contentPlan} from '../schema/content-plan.ts';
import type {Table} from '../schema/table.ts';
import type {StagingFile} from './staging-file.ts';

const mostThreads = 4;

/**
 * The content of restored tables, read from the pages of their file, whichever way the rows came there. The file's
 * connection is closed for that.
 * @param tables with their approximate sizes
 * @returns without tables that have a record above 8 MiB
 * @throws BkpError `SOURCE_DAMAGED`
 */
export async function restoredContent(
  file: StagingFile,
  tables: readonly {name: TableName; table: Table; bytes: number}[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<TableName, TableContent>> {
  const planned = tables.flatMap(({name, table, bytes}) => {
    const plan = contentPlan(file.connection, table);
    const [tree] = treesOf(file.connection, table, {omitIndexes: true});
    return plan === undefined || tree === undefined ? [] : [{name, tree, plan, bytes}];
  });
  const found = new Map<TableName, TableContent>();
  if (planned.length === 0) return found;
  const pageBytes = file.connection.number('PRAGMA main.page_size');
  // Closing the descriptor would drop the locks of an open connection.
  file.close();
  const descriptor = openSync(file.path, 'r');
  const scan = new ContentScan(filesOf(descriptor, pageBytes), Math.min(mostThreads, availableParallelism()));
  try {
    for (const {name, tree, plan, bytes} of planned) {
      signal?.throwIfAborted();
      try {
        found.set(name, await scan.of(tree, plan, bytes));
      } catch (error) {
        if (!(error instanceof TakeRows)) throw readingError(error, {path: file.path, table: name, tree});
      }
    }
    return found;
  } finally {
    await scan.close();
    closeSync(descriptor);
  }
}

/** https://www.sqlite.org/fileformat2.html#the_database_header: byte 20 has the bytes reserved in each page. */
function filesOf(file: number, pageBytes: number): PageFiles {
  const pages = Math.floor(fstatSync(file).size / pageBytes);
  const files = {file, pageBytes, usableBytes: pageBytes, pages, visited: noPageVisited(pages)};
  const first = Buffer.alloc(pageBytes);
  new PageReader(files).read(1, first);
  return {...files, usableBytes: pageBytes - first[20]!};
}
