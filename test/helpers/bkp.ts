import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {keptCode} from './compiled-code.ts';
import {whyStale} from './fresh-build.ts';

const root = resolve(import.meta.dirname, '../..');
// Without this check, `npx vitest` would silently test the code of the last build.
const stale = whyStale(root);
if (stale !== undefined) throw new Error(stale);

/** The executable that users start; it needs a built `dist`. */
export const bkpFile = join(root, 'bin/bkp.js');

export type RunOptions = {
  /** `BKP_HOME`; without it, a test would use the home of the user who runs it. */
  home: string;
  /** On top of a bare environment. */
  env?: Record<string, string>;
  /** Standard input; absent: none. */
  input?: string;
  cwd?: string;
  /** Another bkp than this one. */
  file?: string;
};

export type RunResult = {status: number | null; stdout: string; stderr: string};

/** The environment of a bkp under test: it inherits only the path. */
export function bareEnv({home, env}: Pick<RunOptions, 'home' | 'env'>): Record<string, string> {
  return {
    PATH: `${join(root, 'node_modules/.bin')}:/usr/bin:/bin`,
    HOME: home,
    BKP_HOME: home,
    USER: 'tester',
    // Tests run concurrently and wait for their workers.
    BKP_BACKUP_NICENESS: '0',
    // Each test has a home of its own, where there would be no compiled code yet.
    ...keptCode,
    ...env,
  };
}

/** Runs the real bkp as a process, without a terminal, and waits for its end. */
export function runBkp(args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((settle, fail) => {
    const child = spawn(process.execPath, [options.file ?? bkpFile, ...args], {
      cwd: options.cwd ?? options.home,
      env: bareEnv(options),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const result = {stdout: '', stderr: ''};
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]!.setEncoding('utf8').on('data', (text: string) => {
        result[name] += text;
      });
    }
    child.on('error', fail);
    child.on('close', (status) => settle({status, ...result}));
    child.stdin?.end(options.input);
  });
}

/** Creates an empty folder for one test. */
export function temporaryHome(): {home: string; remove: () => void} {
  const home = mkdtempSync(join(tmpdir(), 'bkp-home-'));
  return {home, remove: () => rmSync(home, {recursive: true, force: true})};
}
