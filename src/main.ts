import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import type {RealDeps} from './compose.ts';
import {resolveHome, userHome} from './config/index.ts';
import {
  asPlain,
  BkpError,
  ExitStatus,
  errorCodes,
  type PlainError,
  renderError,
  renderErrorJson,
} from './errors/index.ts';
import {keepCompiledCode} from './lib/code-cache.ts';
import {printableLines} from './lib/text.ts';
import {wrappedError} from './lib/wrap.ts';

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

// With an empty event loop Node ends a command that still waits, without a word and with the status of damaged data.
let isOver = false;
process.once('beforeExit', () => {
  if (isOver) return;
  report(new Error('the command waits for something that never comes'));
  process.exit();
});

try {
  const version = () => JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
  const home = resolveHome({...process.env, ...givenHome(args)}, process.platform, userHome());
  keepCompiledCode({home: home.dir, folder: join(home.codeCacheDir, version())});
  // Loaded from here on, so that their compiled code is kept: this file imports as little as it can.
  const {runProgram} = await import('./commands/program.ts');
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
    version,
  });
} catch (error) {
  report(error);
} finally {
  isOver = true;
  deps?.close();
}

function report(error: unknown): void {
  const plain = asPlain(error);
  // Messages quote names of any characters.
  const {isTTY, columns} = process.stderr;
  const text = () => wrappedError(printableLines(renderError(plain)), isTTY ? columns : undefined);
  process.stderr.write(wantsJson(args) ? renderErrorJson(plain) : text());
  process.exitCode = exitStatusOf(plain);
}

function exitStatusOf(error: PlainError): ExitStatus {
  return error.code in errorCodes ? errorCodes[error.code as keyof typeof errorCodes].exit : ExitStatus.failed;
}

/** Reads the raw arguments, because parsing them may be what failed. */
function wantsJson(words: readonly string[]): boolean {
  const formats = valuesOf('--format', words);
  return words.includes('--json') || formats.includes('json') || formats.includes('proto-json-base64');
}

/** Reads the raw arguments, because the code that parses them is not loaded yet. */
function givenHome(words: readonly string[]): {BKP_HOME?: string | undefined} {
  const [home] = valuesOf('--home', words);
  return home === undefined ? {} : {BKP_HOME: home};
}

function valuesOf(option: string, words: readonly string[]): (string | undefined)[] {
  return words.flatMap((word, at) => {
    if (word === option) return [words[at + 1]];
    return word.startsWith(`${option}=`) ? [word.slice(option.length + 1)] : [];
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
