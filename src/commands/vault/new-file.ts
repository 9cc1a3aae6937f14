import {randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {absolutePath} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {beginNewFile, type NewFile} from '../../lib/new-file.ts';
import type {CommandDeps} from '../deps.ts';

/**
 * Makes a new file that only its owner can read, and that is on the disk when this returns.
 * @param file as the user wrote it
 * @throws BkpError `FILE_UNAVAILABLE` also if there is one of this name
 */
export function placeFile({cwd, nowMicros}: CommandDeps, file: string, content: string | Uint8Array): void {
  const path = absolutePath(file, cwd, 'file');
  let fresh: NewFile | undefined;
  try {
    const id = randomBytes(4).toString('hex');
    fresh = beginNewFile(path, {pid: process.pid, id, nowMs: nowMicros() / 1000});
    writeFileSync(fresh.path, content, {mode: 0o600});
    fresh.place();
  } catch (cause) {
    throw new BkpError('FILE_UNAVAILABLE', `${file} cannot be made`, {
      cause,
      next: 'name a new file in a folder that you may write to',
    });
  } finally {
    fresh?.discard();
  }
}
