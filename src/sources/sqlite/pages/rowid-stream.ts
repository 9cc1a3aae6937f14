import type {BaseSegment, Cuts} from '../../source.ts';
import {type RowidCuts, readRowidCuts, rowidCuts} from './cuts.ts';
import {RowidChunks} from './rowid-chunks.ts';
import {rowidRanges} from './rowid-ranges.ts';
import {type RangeRun, rowidRuns} from './runs.ts';
import {RunsAhead} from './runs-ahead.ts';
import {TreeStream} from './tree-stream.ts';
import {mostRowid, type RowidLeaves, walkTree} from './walk.ts';

/** The records of a rowid tree: one chunk for each range of rowids. */
export class RowidStream extends TreeStream<RangeRun> {
  /** Of the chunks so far. */
  readonly #ends: bigint[] = [];

  cuts(): Cuts {
    const ends = this.#ends.filter((end) => end < mostRowid);
    return rowidCuts({segments: this.#ends.length, ends});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    const before = readRowidCuts(this.options.previous);
    const previousAfter = before && segmentsByStart(before);
    const chunks = new RowidChunks();
    for await (const {run, extracted} of await this.runs()) {
      this.take(extracted);
      const upTo = extracted.next === undefined ? run.upTo : undefined;
      for (const chunk of chunks.add(extracted, {upTo, isLast: run.isLast})) {
        const previous = previousAfter?.get(this.#ends.at(-1));
        this.#ends.push(chunk.upTo);
        yield this.segment(chunk, previous);
      }
    }
  }

  protected async open(): Promise<RunsAhead<RangeRun>> {
    const {files, extractor, tree, previous, content} = this.options;
    const leaves = (await walkTree(files, {root: tree.root, kind: 'rowid'})) as RowidLeaves;
    const ranges = rowidRanges(leaves, readRowidCuts(previous)?.ends, files.pageBytes);
    return new RunsAhead(extractor, rowidRuns(leaves, ranges, content), this.options);
  }
}

/** The segments by the end of the range before them; undefined for the first one. */
function segmentsByStart({segments, ends}: RowidCuts): ReadonlyMap<bigint | undefined, number> {
  const starts = [undefined, ...ends].slice(0, segments);
  return new Map(starts.map((start, segment) => [start, segment]));
}
