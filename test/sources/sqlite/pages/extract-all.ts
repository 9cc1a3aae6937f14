import {marksOf, memoryPages, mostMemoryPages, outputOf} from '../../../../src/sources/sqlite/pages/extract-memory.ts';
import {type Extraction, Extractor} from '../../../../src/sources/sqlite/pages/extractor.ts';
import type {KeyRun, PageFiles, RowidRun} from '../../../../src/sources/sqlite/pages/page-files.ts';
import {pageModule} from '../../../../src/sources/sqlite/pages/page-module.ts';

/** An extractor on this thread, with one slot. */
export class LocalExtractor {
  readonly #memory = new WebAssembly.Memory({initial: memoryPages(1), maximum: mostMemoryPages, shared: true});
  readonly #extractor: Extractor;

  constructor(files: PageFiles) {
    this.#extractor = new Extractor(files, {module: pageModule(), memory: this.#memory});
  }

  /** One extraction, copied. */
  part(run: RowidRun | KeyRun): Omit<Extraction, 'bytes' | 'marks'> & {bytes: Buffer; marks: number[]} {
    const {bytes, marks, ...rest} = this.#extractor.extract(run, 0);
    return {
      ...rest,
      bytes: Buffer.from(new Uint8Array(this.#memory.buffer, outputOf(0), bytes).slice()),
      marks: [...new Uint32Array(this.#memory.buffer, marksOf(0), marks)],
    };
  }

  /** All extractions of a run. */
  parts(run: RowidRun | KeyRun): ReturnType<LocalExtractor['part']>[] {
    const parts = [this.part(run)];
    for (let next = parts[0]!.next; next !== undefined; next = parts.at(-1)!.next) {
      parts.push(this.part({...run, from: next}));
    }
    return parts;
  }

  all(runs: readonly (RowidRun | KeyRun)[]): Buffer {
    return Buffer.concat(runs.flatMap((run) => this.parts(run)).map(({bytes}) => bytes));
  }
}
