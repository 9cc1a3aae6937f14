import {mkdirSync, statSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import type {Home} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';

type Files = Pick<Home, 'configFile' | 'reloadFile'>;

/**
 * Has every scheduler of this home read settings and schedules anew at its next look. A file and no signal: it reaches one in
 * another container that shares the home, and Windows has no SIGHUP.
 * @throws BkpError `CONFIG_UNAVAILABLE`
 */
export function askForReload({reloadFile}: Files, nowMicros: number): void {
  try {
    mkdirSync(dirname(reloadFile), {recursive: true, mode: 0o700});
    writeFileSync(reloadFile, `${new Date(nowMicros / 1000).toISOString()}\n`, {mode: 0o600});
  } catch (cause) {
    throw new BkpError('CONFIG_UNAVAILABLE', `a running scheduler cannot be told: ${reloadFile} cannot be written`, {
      cause,
      next: 'send the scheduler a SIGHUP',
    });
  }
}

/** Another text as soon as somebody has asked, or has changed the configuration. */
export function reloadStamp({configFile, reloadFile}: Files): string {
  return [configFile, reloadFile]
    .map((file) => {
      const found = statSync(file, {throwIfNoEntry: false, bigint: true});
      return found === undefined ? 'absent' : `${found.ino} ${found.size} ${found.mtimeNs}`;
    })
    .join('; ');
}
