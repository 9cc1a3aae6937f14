import {randomBytes} from 'node:crypto';
import {basename, dirname, join, resolve} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import {replaceFile} from '../../lib/files.ts';

/** Others run node_exporter, and it must read the file. There is no secret in it. */
const mode = 0o644;

/**
 * Writes a file that its readers see whole, the old one or the new one. The temporary file lies beside it, and
 * its name does not end in `.prom`, so node_exporter does not read it.
 * @throws BkpError `FILE_UNAVAILABLE`
 */
export async function writeTextfile(file: string, text: string): Promise<void> {
  const target = resolve(file);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await replaceFile(target, text, {temporary, mode, durable: true});
  } catch (error) {
    throw new BkpError('FILE_UNAVAILABLE', `cannot write ${target}`, {
      cause: error,
      next: 'name a file in a folder that is there and that you may write to',
    });
  }
}
