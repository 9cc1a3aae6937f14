import {randomBytes} from 'node:crypto';
import {open, rename, rm} from 'node:fs/promises';
import {basename, dirname, join, resolve} from 'node:path';
import {BkpError} from '../../errors/index.ts';

/** Others run node_exporter, and it must read the file. There is no secret in it. */
const mode = 0o644;

/**
 * Writes a file that its readers see whole, the old one or the new one. The temporary file lies beside it, and its name does
 * not end in `.prom`, so node_exporter does not read it.
 * @throws BkpError `FILE_UNAVAILABLE`
 */
export async function writeTextfile(file: string, text: string): Promise<void> {
  const target = resolve(file);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(text);
      // The mode of open is cut by the umask.
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, {force: true}).catch(() => {});
    throw new BkpError('FILE_UNAVAILABLE', `cannot write ${target}`, {
      cause: error,
      next: 'name a file in a folder that is there and that you may write to',
    });
  }
}
