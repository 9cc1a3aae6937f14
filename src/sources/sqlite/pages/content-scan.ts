import type {TableContent} from '../../source.ts';
import type {ContentPlan} from '../schema/content-plan.ts';
import {NearExtractor} from './near-extractor.ts';
import type {PageExtractor, PageFiles} from './page-files.ts';
import {PageThreads} from './page-threads.ts';
import {scanContent} from './scan-content.ts';
import type {TableTree} from './trees.ts';
import {noPageVisited} from './visited-pages.ts';

/** Starting threads takes as long as reading this much. */
const leastBytesForThreads = 32 * 1024 * 1024;
const aheadPerThread = 3;

/** Reads tables of a file for their content, each of them once. */
export class ContentScan {
  readonly #files: PageFiles;
  readonly #threads: number;
  #near: PageExtractor | undefined;
  #far: PageExtractor | undefined;

  /** @param files whose visited pages do not matter here */
  constructor(files: PageFiles, threads: number) {
    this.#files = {...files, visited: noPageVisited(files.pages)};
    this.#threads = threads;
  }

  /** @throws PageFault | TakeRows */
  of(tree: Pick<TableTree, 'root' | 'kind'>, plan: ContentPlan, bytes: number): Promise<TableContent> {
    return scanContent(this.#files, this.#extractor(bytes), {tree, plan, ahead: this.#threads * aheadPerThread});
  }

  async close(): Promise<void> {
    await this.#near?.close();
    await this.#far?.close();
  }

  #extractor(bytes: number): PageExtractor {
    if (bytes < leastBytesForThreads) {
      this.#near ??= new NearExtractor(this.#files);
      return this.#near;
    }
    this.#far ??= new PageThreads(this.#files, {threads: this.#threads});
    return this.#far;
  }
}
