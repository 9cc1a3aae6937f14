import {readFileSync} from 'node:fs';
import {runProgram} from './commands/program.ts';
import type {RealDeps} from './compose.ts';
import {
  asPlain,
  BkpError,
  ExitStatus,
  errorCodes,
  type PlainError,
  renderError,
  renderErrorJson,
} from './errors/index.ts';
import {printableLines} from './lib/text.ts';

// The only file that reads the command line and sets the exit status.

const args = process.argv.slice(2);
let deps: RealDeps | undefined;

process.stdout.on('error', (error) => onStreamError(error, 'standard output'));
// There is no stream left to report it on.
process.stderr.on('error', () => process.exit(process.exitCode || ExitStatus.failed));
process.on('uncaughtException', (error) => {
  report(error);
  process.exit();
});

try {
  await runProgram(args, {
    openDeps: async (flags) => {
      // Help and version need none of this.
      const {openRealDeps} = await import('./compose.ts');
      deps = await openRealDeps(flags, (status) => {
        process.exitCode = status;
      });
      return deps;
    },
    write: (text) => process.stdout.write(text),
    columns: process.stdout.columns,
    version: () => JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version,
  });
} catch (error) {
  report(error);
} finally {
  deps?.close();
}

function report(error: unknown): void {
  const plain = asPlain(error);
  // Messages quote names of any characters.
  process.stderr.write(wantsJson(args) ? renderErrorJson(plain) : printableLines(renderError(plain)));
  process.exitCode = exitStatusOf(plain);
}

function exitStatusOf(error: PlainError): ExitStatus {
  return error.code in errorCodes ? errorCodes[error.code as keyof typeof errorCodes].exit : ExitStatus.failed;
}

/** Reads the raw arguments, because parsing them may be what failed. */
function wantsJson(words: readonly string[]): boolean {
  return words.some((word, at) => {
    const format = word === '--format' ? words[at + 1] : word.startsWith('--format=') ? word.slice(9) : undefined;
    return word === '--json' || format === 'json' || format === 'proto-json-base64';
  });
}

/** With `bkp … | head -1` the reader closes the pipe early: that is no error. */
function onStreamError(error: NodeJS.ErrnoException, name: string): void {
  if (error.code !== 'EPIPE') {
    report(
      new BkpError('FILE_UNAVAILABLE', `${name} cannot be written`, {
        cause: error,
        next: 'what the command did or started remains: bkp operation list',
      }),
    );
  }
  deps?.close();
  process.exit();
}
