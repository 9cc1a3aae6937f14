import {statSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import type {Home} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {makeFolderSync} from '../../lib/files.ts';
import {moveAway, NotAFile, requirePlainFile} from '../../lib/plain-file.ts';

type Files = Pick<Home, 'configFile' | 'reloadFile'>;

/**
 * Makes every scheduler of this home reload settings and schedules at its next round. A file rather than a
 * signal: it reaches a scheduler in another container that shares the home, and Windows has no SIGHUP.
 * @throws BkpError `CONFIG_UNAVAILABLE`
 */
export function askForReload({reloadFile}: Files, nowMicros: number): void {
  try {
    makeFolderSync(dirname(reloadFile), 0o700);
    requirePlainFile(reloadFile);
    writeFileSync(reloadFile, `${new Date(nowMicros / 1000).toISOString()}\n`, {mode: 0o600});
  } catch (cause) {
    throw new BkpError('CONFIG_UNAVAILABLE', `cannot notify a running scheduler: ${reloadFile} cannot be written`, {
      cause,
      next:
        cause instanceof NotAFile
          ? `move it away (${moveAway(reloadFile)}), or send the scheduler a SIGHUP`
          : 'send the scheduler a SIGHUP',
    });
  }
}

/**
 * Changes when a reload is requested, or when the configuration file or one of the others changes.
 * @param others files that the environment names, in which keys may be replaced every hour
 */
export function reloadStamp({configFile, reloadFile}: Files, others: readonly string[]): string {
  return [configFile, reloadFile, ...others]
    .map((file) => {
      const found = statSync(file, {throwIfNoEntry: false, bigint: true});
      return found === undefined ? 'absent' : `${found.ino} ${found.size} ${found.mtimeNs}`;
    })
    .join('; ');
}
