import {readdirSync, rmSync, statSync} from 'node:fs';
import module from 'node:module';
import {dirname, join} from 'node:path';
import {makeFolderSync} from './files.ts';

/**
 * Lets Node keep the compiled code of all modules that are loaded from here on, and use it the next time: compiling
 * takes about as long as starting Node (https://nodejs.org/api/module.html#module-compile-cache). Node separates its
 * own versions and users inside the folder, and ignores a file that does not belong to the source.
 *
 * Compiled code is code that runs, so it is kept only where this user decides what runs. Nothing here is an error: bkp
 * compiles its code then.
 * @param folder one folder for each version of bkp; those of other versions are removed. Not created, and not used,
 *   unless the folder `home` exists and belongs to this user
 */
export function keepCompiledCode({home, folder}: {home: string; folder: string}): void {
  // The user has set NODE_COMPILE_CACHE.
  if (module.getCompileCacheDir() !== undefined) return;
  try {
    if (process.getuid !== undefined && statSync(home).uid !== process.getuid()) return;
    if (statSync(folder, {throwIfNoEntry: false}) === undefined) {
      const versions = dirname(folder);
      // Node would create it accessible to other users.
      makeFolderSync(versions, 0o700);
      for (const name of readdirSync(versions)) rmSync(join(versions, name), {recursive: true, force: true});
      makeFolderSync(folder, 0o700);
    }
    module.enableCompileCache(folder);
  } catch {
    // There is no home yet, or it cannot be written.
  }
}
