import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {onTestFinished} from 'vitest';
import {type Home, resolveHome} from '../../src/config/index.ts';

/** A home in its own folder, which is removed when the test ends. */
export function temporaryHome(): Home {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-config-'));
  onTestFinished(() => rmSync(dir, {recursive: true, force: true}));
  return resolveHome({BKP_HOME: join(dir, 'home')}, 'linux', dir);
}

export const writeConfig = (home: Home, content: unknown) =>
  writeFileSync(home.configFile, typeof content === 'string' ? content : JSON.stringify(content));

export const readConfig = (home: Home) =>
  existsSync(home.configFile) ? JSON.parse(readFileSync(home.configFile, 'utf8')) : undefined;
