import {type ChildProcess, spawn} from 'node:child_process';
import {closeSync, mkdirSync, openSync, readSync, statSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {dirname, join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {BkpError} from '../../../errors/index.ts';
import {readPlainFile} from '../../../lib/plain-file.ts';
import {type ProcessIdentity, systemProcesses} from '../../../lib/processes.ts';
import {QuestDbHttp} from './http.ts';

export type ServerCommand = {
  /** A command line for the shell, to which `-d` and the root are added. */
  line: string;
  /** The complete environment, without the settings of another QuestDB. */
  env: Readonly<Record<string, string | undefined>>;
};

/** A server that recovers a large database answers late; one that hangs must not keep a drill for ever. */
const readyWithinMs = 60 * 60 * 1000;
const pollMs = 100;
/** What an error quotes of the end of the log. */
const quotedBytes = 2000;
/** Beside the root: the process of the server, for whoever cleans up after a dead worker. */
const noteName = 'server.json';

/** The server ended before it answered; `printed` is the end of its output. */
export class ServerEnded extends Error {
  readonly printed: string;

  constructor(how: string, printed: string) {
    super(how);
    this.printed = printed;
  }
}

/** A QuestDB server on a root, for this process alone: on a free port of 127.0.0.1, without any other interface. */
export class EphemeralServer {
  readonly http: QuestDbHttp;
  readonly #child: ChildProcess;
  readonly #watchdog: ChildProcess;
  #ended: string | undefined;

  private constructor(http: QuestDbHttp, child: ChildProcess) {
    this.http = http;
    this.#child = child;
    this.#watchdog = watch(child.pid!);
    // Its number may soon be that of another process.
    child.once('exit', (status, signal) => {
      this.#ended = `ended with ${signal ?? `exit status ${status}`}`;
      this.#watchdog.kill('SIGKILL');
    });
  }

  /**
   * @param root in a folder that only the caller uses; the log is written beside it
   * @returns once it answers
   * @throws {@link ServerEnded} | BkpError `SOURCE_UNAVAILABLE` without an answer
   */
  static async start({line, env}: ServerCommand, root: string, signal: AbortSignal): Promise<EphemeralServer> {
    const port = await freePort();
    const log = join(dirname(root), 'server.log');
    mkdirSync(root, {recursive: true});
    const output = openSync(log, 'w', 0o600);
    const child = spawn('/bin/sh', ['-c', `${line} "$@"`, 'bkp', '-d', root], {
      cwd: dirname(root),
      env: {...env, ...settingsFor(port)},
      stdio: ['ignore', output, output],
      // A process group: what the shell starts ends with it.
      detached: true,
    });
    closeSync(output);
    await new Promise((resolve, reject) => child.once('spawn', () => resolve(undefined)).once('error', reject));
    const server = new EphemeralServer(new QuestDbHttp({http: `http://127.0.0.1:${port}`}), child);
    const identity = systemProcesses.identify(child.pid!);
    if (identity !== undefined) writeFileSync(join(dirname(root), noteName), JSON.stringify(identity));
    try {
      await server.#answers(log, signal);
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  async #answers(log: string, signal: AbortSignal): Promise<void> {
    for (let waitedMs = 0; waitedMs < readyWithinMs; waitedMs += pollMs) {
      signal.throwIfAborted();
      if (this.#ended !== undefined) throw new ServerEnded(this.#ended, endOf(log));
      const isReady = await this.http.ask('SELECT 1', 5000).then(
        (result) => 'rows' in result,
        () => false,
      );
      if (isReady) return;
      await delay(pollMs, undefined, {signal});
    }
    throw new BkpError('SOURCE_UNAVAILABLE', 'the server of verify.questdb.command does not answer', {
      cause: endOf(log),
      next: 'start it by hand: it must run in the foreground, and take its root as -d DIR',
    });
  }

  /** Whether it has ended by itself. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Its root is thrown away: there is nothing that it should finish. */
  async close(): Promise<void> {
    if (this.#ended === undefined) {
      const exit = new Promise((resolve) => this.#child.once('exit', resolve));
      endGroup(this.#child.pid!);
      await exit;
    }
    // Also what the shell left when it ended first.
    else endGroup(this.#child.pid!);
    this.#watchdog.kill('SIGKILL');
  }
}

/** Ends the server of a drill whose process is dead. @param folder the one with the root */
export function endLeftoverServer(folder: string): void {
  try {
    const note = JSON.parse(readPlainFile(join(folder, noteName))) as ProcessIdentity;
    if (systemProcesses.fateOf(note) === 'alive') endGroup(note.pid);
  } catch {
    // Without a readable note no server was started, or it is not known which.
  }
}

/** Ends the group when this process ends for any reason, because the pipe between them then closes. */
function watch(group: number): ChildProcess {
  const script = 'cat >/dev/null; kill -s KILL -- "-$1"';
  const watchdog = spawn('/bin/sh', ['-c', script, 'bkp-watchdog', String(group)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.unref();
  watchdog.on('error', () => {});
  return watchdog;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of its processes have ended.
  }
}

/** As the server's own configuration names them: https://questdb.com/docs/configuration/. */
const settingsFor = (port: number) => ({
  QDB_HTTP_BIND_TO: `127.0.0.1:${port}`,
  QDB_HTTP_MIN_ENABLED: 'false',
  QDB_PG_ENABLED: 'false',
  QDB_LINE_TCP_ENABLED: 'false',
  QDB_LINE_UDP_ENABLED: 'false',
  QDB_TELEMETRY_ENABLED: 'false',
  QDB_TELEMETRY_DISABLE_COMPLETELY: 'true',
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const {port} = probe.address() as {port: number};
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function endOf(log: string): string {
  const size = statSync(log, {throwIfNoEntry: false})?.size ?? 0;
  const bytes = Buffer.alloc(Math.min(size, quotedBytes));
  const file = openSync(log, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
  } finally {
    closeSync(file);
  }
  return bytes.toString('utf8').trim() || 'it printed nothing';
}
