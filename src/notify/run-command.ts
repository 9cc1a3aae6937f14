import type {Environment} from '../config/index.ts';
import {systemCode} from '../errors/index.ts';

/** Mail takes seconds, a slow chat a little longer; a hanging command must not keep a finished worker alive. */
const commandTimeoutMs = 60_000;
/** Time between SIGTERM and SIGKILL. */
const killAfterMs = 2_000;

export type CommandOptions = {
  /** The complete environment of the command. */
  env: Environment;
  timeoutMs?: number;
};

/**
 * Runs a command line through the shell with `input` on its stdin. Its output is discarded, because tools print the
 * URL that they call, with its token, and bkp's log must not contain secrets.
 * @returns undefined after exit status 0, otherwise a message without the command line
 */
export async function runCommand(
  line: string,
  input: string,
  {env, timeoutMs = commandTimeoutMs}: CommandOptions,
): Promise<string | undefined> {
  const {execa} = await import('execa');
  const command = execa(line, {
    shell: true,
    input,
    stdout: 'ignore',
    stderr: 'ignore',
    env: {...env},
    extendEnv: false,
    reject: false,
    // Its own process group, so that the processes of the shell end with it.
    detached: true,
    cleanup: false,
  });
  let timedOut = false;
  const timers = [
    setTimeout(() => {
      timedOut = true;
      end(command.pid, 'SIGTERM');
    }, timeoutMs),
    setTimeout(() => end(command.pid, 'SIGKILL'), timeoutMs + killAfterMs),
  ];
  const {exitCode, signal, cause} = await command;
  for (const timer of timers) clearTimeout(timer);
  // The shell ends on SIGTERM; processes that it started may ignore it.
  if (timedOut) end(command.pid, 'SIGKILL');
  if (timedOut) return `the command was killed after ${timeoutMs / 1000} s`;
  if (signal !== undefined) return `the command was killed by ${signal}`;
  if (exitCode === undefined) return `the shell cannot be started (${systemCode(cause) ?? 'unknown reason'})`;
  return exitCode === 0 ? undefined : `the command ended with exit status ${exitCode}`;
}

/** Sends the signal to the process group; does nothing when it has ended already. */
function end(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal);
  } catch {}
}
