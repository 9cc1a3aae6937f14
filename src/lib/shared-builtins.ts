import {setFlagsFromString} from 'node:v8';

/**
 * Lets all threads that are started from here on call V8's builtins where they are in Node's program. Otherwise V8 maps
 * them a second time for each thread, near the code that it compiles, and each mapping counts 2 MiB as memory of the
 * process. Calls of builtins then take a few instructions more, which does not matter where most work is WebAssembly,
 * zstd and SQLite. A V8 that no longer has this flag writes a line about it to standard error, a worker's log, and
 * continues.
 */
export function sharedBuiltins(): void {
  setFlagsFromString('--no-short-builtin-calls');
}
