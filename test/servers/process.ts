import {type ChildProcess, spawn} from 'node:child_process';
import {accessSync, constants, mkdtempSync, rmSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {type ServerName, serverFile} from '../../scripts/servers.js';

/** Until a server responds: usually half a second, but the machine may be busy. */
const readyMs = 120_000;

/** Bytes of the log in the message of a failure. */
const logTail = 4000;

export type ServerProcess = {
  port: number;
  pid: () => number;
  /** The end of its output. */
  log: () => string;
  /** Ends the process with SIGKILL, like a power cut, and waits for its end. */
  kill: () => Promise<void>;
  /** Starts it again on the same port with the same data. */
  start: (env?: Record<string, string>) => Promise<void>;
  /** Suspends it: it accepts connections and never responds. */
  freeze: () => void;
  thaw: () => void;
  /** Ends it and removes its data. */
  stop: () => Promise<void>;
};

export type ServerPlan = {
  name: ServerName;
  args: (port: number, folder: string) => readonly string[];
  env?: Record<string, string>;
  /** Called repeatedly until it returns true. */
  isReady: (port: number) => Promise<boolean>;
};

/** Starts a server on a free port of the loopback interface, with its own empty folder. */
export async function startServer(plan: ServerPlan): Promise<ServerProcess> {
  const file = serverFile(plan.name);
  try {
    accessSync(file, constants.X_OK);
  } catch {
    throw new Error(`there is no ${file}: node scripts/servers.js ${plan.name}`);
  }
  const folder = mkdtempSync(join(tmpdir(), `bkp-${plan.name}-`));
  const port = await freePort();
  let log = '';
  let child: ChildProcess | undefined;
  let watchdog: ChildProcess | undefined;

  const isAlive = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const kill = async () => {
    if (child === undefined || !isAlive()) return;
    const ended = new Promise((done) => child!.once('exit', done));
    child.kill('SIGKILL');
    await ended;
  };
  const start = async (env: Record<string, string> = {}) => {
    child = spawn(file, plan.args(port, folder), {
      cwd: folder,
      env: {PATH: '/usr/bin:/bin', HOME: folder, ...plan.env, ...env},
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-logTail);
      });
    child.on('error', (error) => {
      log += error.message;
    });
    watchdog = watch(child, folder);
    const startedAtMs = Date.now();
    while (!(await plan.isReady(port).catch(() => false))) {
      if (!isAlive() || Date.now() - startedAtMs > readyMs) {
        await kill();
        throw new Error(`${plan.name} on port ${port} does not answer; it said:\n${log}`);
      }
      await pause(20);
    }
  };

  const stop = async () => {
    await kill();
    watchdog?.kill('SIGKILL');
    rmSync(folder, {recursive: true, force: true, maxRetries: 3});
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    pid: () => child!.pid!,
    log: () => log,
    kill,
    start,
    freeze: () => void child!.kill('SIGSTOP'),
    thaw: () => void child!.kill('SIGCONT'),
    stop,
  };
}

/**
 * Ends the server when this process ends in any way, including SIGKILL, because the pipe between them closes. It
 * has its own session, so that Ctrl-C in a terminal does not end it before its work is done.
 */
function watch(server: ChildProcess, folder: string): ChildProcess {
  const script = 'cat >/dev/null; kill -KILL "$1"; rm -rf "$2"';
  const watchdog = spawn('sh', ['-c', script, 'watchdog', String(server.pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.unref();
  // Another process may soon have its pid.
  server.once('exit', () => watchdog.kill('SIGKILL'));
  return watchdog;
}

export function freePort(): Promise<number> {
  return new Promise((found, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? found(address.port) : fail(address)));
    });
  });
}
