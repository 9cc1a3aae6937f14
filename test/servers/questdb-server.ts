import {type ChildProcess, spawn} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {fetchQuestDb} from '../../scripts/questdb-jar.js';
import {freePort} from './process.ts';

/** The first start of an empty root takes five seconds on an idle machine. */
const readyMs = 240_000;
const logTail = 6000;

export type Cell = string | number | boolean | null;

/** A QuestDB server on a free port of the loopback interface. */
export class QuestDbServer {
  readonly root: string;
  readonly url: string;
  /** The folder that `remove` removes: the one created for the root, or the given root. */
  readonly #folder: string;
  readonly #port: number;
  readonly #env: Record<string, string>;
  readonly #version: string | undefined;
  #child: ChildProcess | undefined;
  #watchdog: ChildProcess | undefined;
  #log = '';

  private constructor(
    folder: string,
    root: string,
    {port, env, version}: {port: number; env: Record<string, string>; version: string | undefined},
  ) {
    this.#folder = folder;
    this.root = root;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#env = env;
    this.#version = version;
  }

  /** @param options.version default: the newest */
  static async start(
    options: {root?: string; env?: Record<string, string>; version?: string} = {},
  ): Promise<QuestDbServer> {
    const folder = options.root ?? mkdtempSync(join(tmpdir(), 'bkp-questdb-'));
    const root = options.root ?? join(folder, 'root');
    mkdirSync(root, {recursive: true});
    const server = new QuestDbServer(folder, root, {
      port: await freePort(),
      env: options.env ?? {},
      version: options.version,
    });
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const jar = fetchQuestDb(this.#version);
    this.#log = '';
    this.#child = spawn('java', ['-Xmx512m', '-p', jar, '-m', 'io.questdb/io.questdb.ServerMain', '-d', this.root], {
      env: {
        PATH: process.env.PATH ?? '/usr/bin:/bin',
        HOME: this.root,
        QDB_HTTP_BIND_TO: `127.0.0.1:${this.#port}`,
        QDB_PG_ENABLED: 'false',
        QDB_LINE_TCP_ENABLED: 'false',
        QDB_HTTP_MIN_ENABLED: 'false',
        QDB_TELEMETRY_DISABLE_COMPLETELY: 'true',
        ...this.#env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-logTail);
      });
    this.#child.on('error', (error) => {
      this.#log += error.message;
    });
    this.#watchdog = watch(this.#child);
    const startedAtMs = Date.now();
    while (!(await this.#isReady())) {
      if (!this.#isAlive() || Date.now() - startedAtMs > readyMs) {
        await this.kill();
        throw new Error(`QuestDB on ${this.root} does not start; it said:\n${this.#log}`);
      }
      await pause(50);
    }
  }

  /** Rows as arrays. @throws Error with the message of the server */
  async sql(query: string, headers: Record<string, string> = {}): Promise<Cell[][]> {
    const response = await fetch(`${this.url}/exec?${new URLSearchParams({query})}`, {headers});
    const body = (await response.json()) as {error?: string; dataset?: Cell[][]};
    if (body.error !== undefined) throw new Error(`${body.error} in ${query}`);
    return body.dataset ?? [];
  }

  /** A complete table as CSV. */
  async csv(query: string): Promise<string> {
    const response = await fetch(`${this.url}/exp?${new URLSearchParams({query})}`);
    const text = await response.text();
    if (!response.ok || !text.startsWith('"')) throw new Error(`${text.slice(0, 200)} in ${query}`);
    return text;
  }

  /** Waits until all logged transactions are applied. @throws Error when a table is suspended */
  async applied(): Promise<void> {
    for (;;) {
      const tables = await this.sql('SELECT name, suspended, writerTxn, sequencerTxn FROM wal_tables()');
      const suspended = tables.find((table) => table[1] === true);
      if (suspended !== undefined)
        throw new Error(`table ${suspended[0]} is suspended; the server said:\n${this.#log}`);
      if (tables.every((table) => table[2] === table[3])) return;
      await pause(50);
    }
  }

  /** A normal shutdown. */
  async end(): Promise<void> {
    await this.#signal('SIGTERM');
  }

  /** Like a power failure. */
  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  /** Stops the server and removes its root. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, {recursive: true, force: true, maxRetries: 3});
  }

  #isAlive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #isReady(): Promise<boolean> {
    return fetch(`${this.url}/ping`, {signal: AbortSignal.timeout(2000)}).then(
      ({ok}) => ok,
      () => false,
    );
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    if (this.#isAlive()) {
      const ended = new Promise((done) => this.#child!.once('exit', done));
      this.#child!.kill(signal);
      await ended;
    }
    this.#watchdog?.kill('SIGKILL');
  }
}

/** Stops the server when this process ends for any reason, because the pipe between them then closes. */
function watch(server: ChildProcess): ChildProcess {
  const watchdog = spawn('sh', ['-c', 'cat >/dev/null; kill -KILL "$1"', 'watchdog', String(server.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.unref();
  // The pid may be reused soon.
  server.once('exit', () => watchdog.kill('SIGKILL'));
  return watchdog;
}
