import {fdatasync} from 'node:fs';
import {promisify} from 'node:util';
import {systemCode} from '../../../errors/index.ts';

/** Makes the pages of a file durable. */
export const syncPages = promisify(fdatasync);

/** Often enough that little is left for the sync at the end, and rarely enough that the disk gets long writes. */
const intervalMs = 200;

/** Lets the disk work while pages are written: else the sync at the end waits for all of them. */
export class EarlySync {
  readonly #file: number;
  readonly #failed: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;

  /**
   * @param failed is called with an error of the disk. The layout must fail with it: the system reports it once, and a
   *   later sync would succeed
   */
  constructor(file: number, failed: (error: Error) => void) {
    this.#file = file;
    this.#failed = failed;
    this.#timer = setInterval(() => this.#sync(), intervalMs);
    this.#timer.unref();
  }

  /** Resolves when the file may be closed. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  #sync(): void {
    this.#running ??= syncPages(this.#file)
      .catch((error: Error) => {
        // This file system cannot sync; the sync at the end reports that.
        if (systemCode(error) === 'EINVAL') clearInterval(this.#timer);
        else this.#failed(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
  }
}
