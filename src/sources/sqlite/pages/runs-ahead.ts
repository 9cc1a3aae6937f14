import type {Extracted, KeyRun, PageExtractor, RowidRun} from './page-files.ts';

type Run = RowidRun | KeyRun;

/** The records of runs in order, some of them requested ahead of the consumer. */
export class RunsAhead<R extends Run> {
  readonly #extractor: PageExtractor;
  readonly #runs: Iterator<R>;
  readonly #ahead: number;
  readonly #onAllRequested: () => void;
  readonly #pending: {run: R; extracted: Promise<Extracted>}[] = [];
  #areAllRequested = false;

  /**
   * @param options.ahead how many runs are requested before the first of them is consumed
   * @param options.onAllRequested called when no further run will be requested
   */
  constructor(
    extractor: PageExtractor,
    runs: Iterable<R>,
    {ahead, onAllRequested}: {ahead: number; onAllRequested: () => void},
  ) {
    this.#extractor = extractor;
    this.#runs = runs[Symbol.iterator]();
    this.#ahead = ahead;
    this.#onAllRequested = onAllRequested;
    this.#request();
  }

  /** Several results of one run if it is long. The consumer releases each of them. */
  async *[Symbol.asyncIterator](): AsyncGenerator<{run: R; extracted: Extracted}> {
    for (;;) {
      const oldest = this.#pending.shift();
      if (oldest === undefined) return;
      this.#request();
      const {run} = oldest;
      for (let extracted = await oldest.extracted; ; ) {
        const {next} = extracted;
        const rest = next && this.#begin({...run, from: next});
        yield {run, extracted};
        if (rest === undefined) break;
        extracted = await rest;
      }
    }
  }

  /** Releases what was not consumed. */
  abandon(): void {
    this.#areAllRequested = true;
    for (const {extracted} of this.#pending.splice(0)) {
      extracted.then(
        ({release}) => release(),
        () => {},
      );
    }
  }

  #request(): void {
    while (!this.#areAllRequested && this.#pending.length < this.#ahead) {
      const {done, value: run} = this.#runs.next();
      if (done) {
        this.#areAllRequested = true;
        this.#onAllRequested();
      } else this.#pending.push({run, extracted: this.#begin(run)});
    }
  }

  #begin(run: R): Promise<Extracted> {
    const extracted = this.#extractor.extract(run);
    // The consumer gets the error when it reaches this run.
    extracted.catch(() => {});
    return extracted;
  }
}
