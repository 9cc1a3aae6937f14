import {hashText, noRows, sumOf} from '../../content-sum.ts';
import type {TableContent} from '../../source.ts';
import type {ContentPlan} from '../schema/content-plan.ts';
import type {KeyRun, PageExtractor, PageFiles, RowidRun} from './page-files.ts';
import {rowidRanges} from './rowid-ranges.ts';
import {keyRuns, rowidRuns} from './runs.ts';
import {RunsAhead} from './runs-ahead.ts';
import type {TableTree} from './trees.ts';
import {walkTree} from './walk.ts';

/**
 * Reads a table's own tree for nothing but its content.
 * @param options.ahead runs that are requested before the first of them has arrived
 * @throws PageFault | TakeRows
 */
export async function scanContent(
  files: PageFiles,
  extractor: PageExtractor,
  {tree, plan, ahead}: {tree: Pick<TableTree, 'root' | 'kind'>; plan: ContentPlan; ahead: number},
): Promise<TableContent> {
  const {pageBytes} = files;
  const leaves = await walkTree(files, tree);
  const wanted: Iterable<RowidRun | KeyRun> =
    leaves.kind === 'rowid'
      ? rowidRuns(leaves, rowidRanges(leaves, undefined, pageBytes), plan)
      : keyRuns(leaves, {pageBytes, hashed: 'head', bits: noMarkBits, content: plan});
  const runs = new RunsAhead(extractor, wanted, {ahead, onAllRequested: () => {}});
  let [rows, sum] = [0, noRows];
  try {
    for await (const {extracted} of runs) {
      rows += extracted.records;
      sum = sumOf(sum, extracted.content!);
      extracted.release();
    }
  } finally {
    runs.abandon();
  }
  return {rows, hash: hashText(sum)};
}

/** Where chunks would be cut does not matter here. */
const noMarkBits = 20;
