import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

/** Clock ticks a second in /proc, on Linux. */
const ticks = 100;
/** PostgreSQL does not run as root. */
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const isRoot = process.getuid?.() === 0;

/** A server in a folder that is kept, so that data is generated once. It listens on a socket in it. */
export class PostgresServer {
  readonly folder: string;
  readonly bin: string;
  readonly port = 5499;

  /** @param bin programs that the user `nobody` can read, if this one is root */
  constructor(folder: string, bin: string) {
    this.folder = folder;
    this.bin = bin;
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  start(): void {
    if (!existsSync(this.#data)) {
      const owner = isRoot ? ['-o', '65534', '-g', '65534'] : [];
      mkdirSync(this.folder, {recursive: true});
      execFileSync('install', ['-d', '-m', '755', ...owner, this.folder]);
      execFileSync('install', ['-d', '-m', '700', ...owner, this.#data]);
      this.#run('initdb', ['-D', this.#data, '-A', 'trust', '-U', 'postgres', '--locale=C.UTF-8', '-E', 'UTF8']);
    }
    const settings = {
      port: this.port,
      listen_addresses: "''",
      unix_socket_directories: this.folder,
      shared_buffers: '512MB',
      max_wal_size: '4GB',
      // Neither side is to wait for this machine's disk.
      fsync: 'off',
      autovacuum: 'off',
    };
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
    this.#run('pg_ctl', ['-D', this.#data, '-l', join(this.folder, 'log'), '-w', '-o', options.join(' '), 'start']);
  }

  stop(): void {
    this.#run('pg_ctl', ['-D', this.#data, '-m', 'fast', '-w', 'stop']);
  }

  /** Arguments with which PostgreSQL's programs connect. */
  get where(): readonly string[] {
    return ['-h', this.folder, '-p', String(this.port), '-U', 'postgres'];
  }

  url(database: string): string {
    return `postgres://postgres@/${database}?host=${encodeURIComponent(this.folder)}&port=${this.port}`;
  }

  program(name: string): string {
    return join(this.bin, name);
  }

  /** @returns what psql prints */
  sql(database: string, text: string): string {
    const args = [...this.where, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', database];
    return execFileSync(this.program('psql'), args, {input: text, encoding: 'utf8', maxBuffer: 2 ** 28}).trim();
  }

  /** CPU of all its processes, also those that ended, in seconds. */
  cpuSeconds(): number {
    const postmaster = readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n')[0]!;
    const own = timesOf(postmaster);
    const live = readdirSync('/proc')
      .filter((name) => /^\d+$/u.test(name))
      .map((pid) => timesOf(pid))
      .filter((times) => times?.parent === postmaster)
      .reduce((sum, times) => sum + times!.own, 0);
    return (own!.own + own!.children + live) / ticks;
  }

  #run(program: string, args: readonly string[]): void {
    const [command, ...rest] = [...(isRoot ? asNobody : []), this.program(program), ...args];
    execFileSync(command!, rest, {stdio: ['ignore', 'ignore', 'inherit']});
  }
}

/** Source: proc_pid_stat(5). */
function timesOf(pid: string): {parent: string; own: number; children: number} | undefined {
  try {
    const stat = readFileSync(join('/proc', pid, 'stat'), 'utf8');
    // The name of the program, in parentheses, may contain spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const number = (at: number) => Number(fields[at]);
    return {parent: fields[1]!, own: number(11) + number(12), children: number(13) + number(14)};
  } catch {
    return undefined;
  }
}
