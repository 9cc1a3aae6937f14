import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {cpSync, readFileSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {serverFile} from '../../../scripts/servers.js';
import {asServerUser, type Cluster, freePort} from './cluster.ts';

/** PgBouncer in transaction mode in front of a cluster: each transaction may get another session of the server. */
export class PgBouncer {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
  }

  /** @param poolSize sessions of the server for each database and role */
  static async start(cluster: Cluster, {poolSize}: {poolSize: number}): Promise<PgBouncer> {
    const folder = join(cluster.folder, `pgbouncer-${await freePort()}`);
    cluster.own(folder);
    // Other users cannot read root's cache.
    const program = serverFile('pgbouncer');
    const programs = join(folder, 'programs');
    cpSync(join(program, '../../..'), programs, {recursive: true, verbatimSymlinks: true});
    const port = await freePort();
    const file = join(folder, 'pgbouncer.ini');
    writeFileSync(join(folder, 'users'), '"postgres" ""\n');
    writeFileSync(
      file,
      `[databases]
* = host=${join(cluster.folder, 's')} port=${cluster.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, 'users')}
pool_mode = transaction
default_pool_size = ${poolSize}
logfile = ${join(folder, 'log')}
`,
    );
    execFileSync('chmod', ['-R', 'a+rX', folder]);
    const [command, ...args] = asServerUser([join(programs, 'usr', 'sbin', 'pgbouncer'), '-q', file]);
    const libraries = execFileSync('find', [programs, '-name', 'libevent*.so*', '-printf', '%h\n'], {encoding: 'utf8'});
    const child = spawn(command!, args, {
      cwd: folder,
      env: {...process.env, LD_LIBRARY_PATH: libraries.split('\n')[0]!},
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let printed = '';
    child.stderr!.on('data', (text: Buffer) => {
      printed += text.toString();
    });
    const bouncer = new PgBouncer(port, child);
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`pgbouncer ended: ${printed}${logOf(folder)}`);
      await pause(50);
    }
    return bouncer;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

function logOf(folder: string): string {
  try {
    return readFileSync(join(folder, 'log'), 'utf8');
  } catch {
    return '';
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
