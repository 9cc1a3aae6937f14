import {execFileSync} from 'node:child_process';
import {readFileSync, readlinkSync} from 'node:fs';
import {systemCode} from '../errors/index.ts';

/**
 * One process, told apart from every other one that ever has its number. The parts are opaque texts, empty where the
 * platform does not tell them.
 */
export type ProcessIdentity = {
  pid: number;
  /** When it started, in the platform's own words. */
  startedAt: string;
  /** Which boot of which machine. */
  boot: string;
  /** Which numbering: a container counts its processes from 1, and does not see those outside. */
  space: string;
};

/**
 * - `gone`: no such process (a zombie is gone: it does nothing any more)
 * - `replaced`: another process has its number now
 * - `rebooted`: it belongs to another boot
 * - `unseen`: it belongs to another container, whose processes cannot be seen from here
 */
export type Fate = 'alive' | 'gone' | 'replaced' | 'rebooted' | 'unseen';

export type Processes = {
  self(): ProcessIdentity;
  /** @returns the process that has this number now, absent when there is none */
  identify(pid: number): ProcessIdentity | undefined;
  fateOf(identity: ProcessIdentity): Fate;
};

/** The real processes: from /proc on Linux, from `ps` and `sysctl` on macOS; elsewhere only the number counts. */
export const systemProcesses: Processes = {
  self() {
    return systemProcesses.identify(process.pid) ?? {pid: process.pid, startedAt: '', ...surroundings()};
  },
  identify(pid) {
    const startedAt = startOf(pid);
    return startedAt === undefined ? undefined : {pid, startedAt, ...surroundings()};
  },
  fateOf(identity) {
    const here = surroundings();
    if (identity.boot !== here.boot) return 'rebooted';
    if (identity.space !== here.space) return 'unseen';
    const startedAt = startOf(identity.pid);
    if (startedAt === undefined) return 'gone';
    return startedAt === identity.startedAt ? 'alive' : 'replaced';
  },
};

type Surroundings = Pick<ProcessIdentity, 'boot' | 'space'>;
let known: Surroundings | undefined;

/** Neither part changes while this process lives. */
function surroundings(): Surroundings {
  known ??= readSurroundings();
  return known;
}

function readSurroundings(): Surroundings {
  if (process.platform === 'linux') {
    return {
      boot: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? '',
      space: attempt(() => readlinkSync('/proc/self/ns/pid')) ?? '',
    };
  }
  if (process.platform === 'darwin')
    return {boot: ask('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid']) ?? '', space: ''};
  return {boot: '', space: ''};
}

/** @returns when the living process with this number started; absent when none lives */
function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') return startFromProc(pid);
  if (process.platform === 'darwin') return startFromPs(pid);
  return isThere(pid) ? '' : undefined;
}

/**
 * proc_pid_stat(5): the name stands in parentheses and may hold any character, parentheses too; after the last one come
 * the state (field 3) and, as field 22, the start in clock ticks since boot.
 */
function startFromProc(pid: number): string | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields?.[0];
  return state === undefined || state === 'Z' || state === 'X' ? undefined : fields?.[22 - 3];
}

function startFromPs(pid: number): string | undefined {
  const [state = '', ...start] = (ask('/bin/ps', ['-o', 'stat=,lstart=', '-p', String(pid)]) ?? '').split(/\s+/);
  return state === '' || state.startsWith('Z') ? undefined : start.join(' ');
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

/** The start is printed in words of the locale and the time zone, which must not differ between two observers. */
function ask(command: string, args: readonly string[]): string | undefined {
  const env = {LC_ALL: 'C', TZ: 'UTC'};
  return attempt(() =>
    execFileSync(command, args, {env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).trim(),
  );
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
