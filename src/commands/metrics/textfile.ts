import {randomBytes} from 'node:crypto';
import {basename, dirname, join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import {replaceFile} from '../../lib/files.ts';

/** node_exporter runs as another user and must read the file, which contains no secret. */
const mode = 0o644;

/**
 * Replaces a file atomically: readers see the old or the new one. The temporary file is in the same folder, and
 * its name does not end in `.prom`, so node_exporter ignores it.
 * @param target absolute path
 * @throws BkpError `FILE_UNAVAILABLE`
 */
export async function writeTextfile(target: string, text: string): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await replaceFile(target, text, {temporary, mode, durable: true});
  } catch (error) {
    throw new BkpError('FILE_UNAVAILABLE', `cannot write ${target}`, {
      cause: error,
      next: 'name a file in an existing folder that you can write to',
    });
  }
}
