import {marksOf, memoryPages, mostMemoryPages, outputOf} from './extract-memory.ts';
import {Extractor} from './extractor.ts';
import type {Extracted, KeyRun, PageExtractor, PageFiles, RowidRun} from './page-files.ts';
import {pageModule} from './page-module.ts';
import {releaseOf} from './records.ts';

/** Extracts on the calling thread: for a small database, of which all records are there before a thread has started. */
export class NearExtractor implements PageExtractor {
  readonly #memory = new WebAssembly.Memory({initial: memoryPages(1), maximum: mostMemoryPages, shared: true});
  readonly #extractor: Extractor;

  constructor(files: PageFiles) {
    this.#extractor = new Extractor(files, {module: pageModule(), memory: this.#memory});
  }

  async extract(run: RowidRun | KeyRun): Promise<Extracted> {
    const extraction = this.#extractor.extract(run, 0);
    const {bytes: length, records, next, marks, lastQualifies, lastAt, content, hasOddKey} = extraction;
    const {buffer} = this.#memory;
    // The next extraction uses the same memory.
    const bytes = new Uint8Array(new Uint8Array(buffer, outputOf(0), length));
    const output = {bytes, records, next, content, hasOddKey, release: releaseOf(bytes)};
    if (run.kind === 'rowid') return output;
    return {
      ...output,
      marks: new Uint32Array(new Uint32Array(buffer, marksOf(0), marks)),
      lastQualifies: records > 0 ? lastQualifies : undefined,
      lastAt: records > 0 ? lastAt : undefined,
    };
  }

  async close(): Promise<void> {}
}
