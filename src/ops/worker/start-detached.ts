import type {ChildProcess, StdioOptions} from 'node:child_process';
import {once} from 'node:events';
import {withoutVaultSecrets} from '../../lib/vault-secrets.ts';

export type DetachedOptions = {
  /** The JavaScript file that Node runs, and its arguments. */
  entry: string;
  args: readonly string[];
  /** The whole environment of the process. */
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** An open file, for what the process prints. */
  output: number;
};

/** Starts a process in the background. Throws if it could not be started. */
export async function startDetached(options: DetachedOptions): Promise<void> {
  (await spawnDetached(options, 'ignore')).unref();
}

/**
 * Starts a process with a session of its own, so that it survives the end of the terminal and its Ctrl-C.
 * @param input the process's file 3
 */
export async function spawnDetached(
  {entry, args, env, cwd, output}: DetachedOptions,
  input: 'ignore' | 'pipe',
): Promise<ChildProcess & {pid: number}> {
  // Loaded here, because most commands start no process.
  const {spawn} = await import('node:child_process');
  const stdio: StdioOptions = ['ignore', output, output, ...(input === 'pipe' ? [input] : [])];
  const child = spawn(process.execPath, [entry, ...args], {
    detached: true,
    env: withoutVaultSecrets(env) as NodeJS.ProcessEnv,
    cwd,
    stdio,
    windowsHide: true,
  });
  if (child.pid === undefined) {
    const [error] = await once(child, 'error');
    throw error;
  }
  return child as ChildProcess & {pid: number};
}
