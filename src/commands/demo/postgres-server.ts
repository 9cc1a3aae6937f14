import {accessSync, chmodSync, chownSync, constants, mkdirSync, readdirSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {BkpError} from '../../errors/index.ts';

/** What the demo needs, in one folder. */
const programs = ['initdb', 'pg_ctl', 'postgres', 'psql', 'createdb', 'pg_dump', 'pg_restore'];
/** PostgreSQL refuses to run as root: nobody runs it instead. */
const nobody = 65_534;

/** A server in a folder, which only a socket in this folder leads to. */
export type DemoServer = {
  /** Of its programs. */
  bin: string;
  /** As libpq reads it. @param database its name */
  address: (database: string) => string;
  /** Runs one of PostgreSQL's programs for clients. @returns its output */
  run: (program: string, ...args: string[]) => Promise<string>;
  stop: () => Promise<void>;
};

/** @throws BkpError `PRECONDITION` if the machine has no PostgreSQL server */
export async function startPostgres(folder: string, env: Readonly<Record<string, string | undefined>>) {
  const bin = foldersOf(env.PATH ?? '').find((one) => programs.every((name) => isProgram(join(one, name))));
  if (bin === undefined) {
    throw new BkpError('PRECONDITION', 'the demo found no PostgreSQL server on this machine', {
      cause: `no folder of PATH or /usr/lib/postgresql has ${programs.join(', ')}`,
      next: 'install it (apt install postgresql), or add the folder of its programs to PATH',
    });
  }
  const {execa} = await import('execa');
  const data = join(folder, 'server');
  mkdirSync(data, {mode: 0o700});
  const asRoot = process.getuid?.() === 0;
  if (asRoot) {
    chmodSync(folder, 0o711);
    chownSync(data, nobody, nobody);
  }
  const as = asRoot ? {uid: nobody, gid: nobody} : {};
  const own = async (program: string, args: readonly string[]) => {
    const options = {...as, cwd: data, stdin: 'ignore', stdout: 'ignore', reject: false} as const;
    const {failed, stderr} = await execa(join(bin, program), args, options);
    if (failed) throw new BkpError('PRECONDITION', `${program} failed`, {cause: stderr});
  };
  const cluster = join(data, 'data');
  await own('initdb', ['-D', cluster, '-U', 'demo', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']);
  const settings = ["listen_addresses=''", `unix_socket_directories='${data}'`, 'unix_socket_permissions=0700'];
  const options = [...settings, 'fsync=off'].map((setting) => `-c ${setting}`).join(' ');
  await own('pg_ctl', ['-D', cluster, '-l', join(data, 'log'), '-w', '-o', options, 'start']);
  const where = ['-h', data, '-U', 'demo'];
  const server: DemoServer = {
    bin,
    address: (database) => `host=${data} user=demo dbname=${database}`,
    run: async (program, ...args) => {
      const {stdout, stderr, failed} = await execa(join(bin, program), [...where, ...args], {reject: false});
      if (failed) throw new BkpError('INTERNAL', `the demo's ${program} failed`, {cause: stderr});
      return stdout;
    },
    stop: () => own('pg_ctl', ['-D', cluster, '-m', 'immediate', '-w', 'stop']),
  };
  return server;
}

function foldersOf(path: string): readonly string[] {
  const parent = '/usr/lib/postgresql';
  let versions: string[] = [];
  try {
    versions = readdirSync(parent).sort((a, b) => Number(b) - Number(a));
  } catch {
    // Other systems have other folders, which are in PATH.
  }
  return [...path.split(delimiter).filter(Boolean), ...versions.map((version) => join(parent, version, 'bin'))];
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
