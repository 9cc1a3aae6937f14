import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import {bareEnv, bkpFile} from './bkp.ts';

/**
 * Runs lines of a shell as a user types them, with `bkp` as the command that was built.
 * @throws Error of the first line that fails, with all output
 */
export async function runTyped(
  lines: string,
  {cwd, home, env}: {cwd: string; home: string; env?: Record<string, string>},
): Promise<string> {
  const script = `set -e; bkp() { "${process.execPath}" "${bkpFile}" "$@"; }\n${lines}`;
  const options = {cwd, env: bareEnv({home, env: env ?? {}})};
  const {stdout} = await promisify(execFile)('/bin/sh', ['-c', script], options).catch(
    (error: {stdout: string; stderr: string}) => {
      throw new Error(`${lines}\n${error.stdout}${error.stderr}`);
    },
  );
  return stdout;
}
