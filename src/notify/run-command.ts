import type {Environment} from '../config/index.ts';
import {systemCode} from '../errors/index.ts';

/** Mail takes seconds, a slow chat a little longer; what hangs must not hold a finished worker for ever. */
const commandTimeoutMs = 60_000;
/** Between the polite signal and the one that nothing can ignore. */
const killAfterMs = 2_000;

export type CommandOptions = {
  /** Its whole environment. */
  env: Environment;
  timeoutMs?: number;
};

/**
 * Runs a command line through the shell with `input` on its stdin. What it prints is thrown away: tools print the URL they
 * call, token and all, and bkp's log holds no secret.
 * @returns what went wrong in words, undefined when it ended with exit status 0; the command line is not in it
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
    // A group of its own, so that what the shell has started ends with it.
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
  // The shell heeds the first signal; what it had started may not.
  if (timedOut) end(command.pid, 'SIGKILL');
  if (timedOut) return `the command was ended after ${timeoutMs / 1000} s`;
  if (signal !== undefined) return `the command was ended by ${signal}`;
  if (exitCode === undefined) return `the shell cannot be started (${systemCode(cause) ?? 'unknown reason'})`;
  return exitCode === 0 ? undefined : `the command ended with exit status ${exitCode}`;
}

/** Ends a whole group; who is gone already need not be ended. */
function end(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal);
  } catch {}
}
