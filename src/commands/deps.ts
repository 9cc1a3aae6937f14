import type {ReadStream, WriteStream} from 'node:tty';
import type {Deps} from '../app/deps.ts';
import type {ExitStatus} from '../errors/index.ts';

/** What a command has beyond the application: streams, and the exit status. */
export interface CommandDeps extends Deps {
  readonly stdin: ReadStream;
  /** For results. `isTTY` and `columns` are those of a terminal, or undefined. */
  readonly stdout: WriteStream;
  /** For progress, hints and errors. */
  readonly stderr: WriteStream;
  /** Whether to print colours on stdout. */
  readonly colors: boolean;
  /**
   * Runs `work` with a `signal` of its own, which the next Ctrl-C aborts, and with settings that are read
   * again. For a prompt, which continues after a Ctrl-C. A second one during `work` ends the process.
   */
  interruptible<T>(work: (deps: CommandDeps) => Promise<T>): Promise<T>;
  /** Sets the exit status for a command that ends without an error; `done` if it is never called. */
  exitWith(status: ExitStatus): void;
}
