import {randomBytes} from 'node:crypto';
import {existsSync, realpathSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import {replaceFile} from '../../lib/files.ts';
import {NotAFile, requirePlainFile} from '../../lib/plain-file.ts';

/** node_exporter runs as another user and must read the file, which contains no secret. */
const mode = 0o644;

/**
 * Replaces a file atomically: readers see the old or the new one. The temporary file is in the same folder, and
 * its name does not end in `.prom`, so node_exporter ignores it.
 * @param target absolute path
 * @throws BkpError `FILE_UNAVAILABLE`
 */
export async function writeTextfile(target: string, text: string): Promise<void> {
  try {
    requirePlainFile(target);
    // The file that a link leads to, so that the link stays.
    const file = existsSync(target) ? realpathSync(target) : target;
    const temporary = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}.tmp`);
    await replaceFile(file, text, {temporary, mode, durable: true});
  } catch (error) {
    throw new BkpError('FILE_UNAVAILABLE', `cannot write ${target}`, {
      cause: error,
      next:
        error instanceof NotAFile
          ? 'name a file; without --textfile, bkp metrics prints on standard output'
          : 'name a file in an existing folder that you can write to',
    });
  }
}
