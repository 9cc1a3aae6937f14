import {existsSync, readFileSync, readlinkSync} from 'node:fs';
import {hostname, networkInterfaces} from 'node:os';
import {systemCode} from '../errors/index.ts';

/**
 * One process, told apart from every other process that ever has its number, on any machine. The texts are opaque, and
 * empty where the platform does not report them.
 */
export type ProcessIdentity = {
  pid: number;
  /** When it started, in the platform's own words. */
  startedAt: string;
  /** Random, chosen by the kernel at each boot. */
  boot: string;
  /** The process-id namespace: a container counts its processes from 1, and does not see those outside. */
  space: string;
  /** Absent in what earlier versions recorded: its boot is then taken for one of this machine. */
  machine?: Machine | undefined;
};

/** What a restart does not change. No single part is safe: each can be changed, or copied to another machine. */
export type Machine = {
  /** The host name, also for people. */
  name: string;
  /** Chosen when the system was installed. Empty in a container, where it is the image's or missing. */
  id: string;
  /** Hardware addresses of the network cards. */
  cards: string;
};

/**
 * - `gone`: no such process (a zombie counts as gone: it does nothing any more)
 * - `replaced`: another process has its number now
 * - `rebooted`: it ran before the last restart of this machine
 * - `unseen`: it belongs to another container, whose processes cannot be seen from here
 * - `elsewhere`: it ran on another machine, or on one that cannot be proved to be this one
 */
export type Fate = 'alive' | 'gone' | 'replaced' | 'rebooted' | 'unseen' | 'elsewhere';

export type Processes = {
  self(): ProcessIdentity;
  /** @returns the process that has this number now; undefined when there is none */
  identify(pid: number): ProcessIdentity | undefined;
  fateOf(identity: ProcessIdentity): Fate;
};

/** The real processes: from /proc on Linux, from `ps` and `sysctl` on macOS; elsewhere only the number counts. */
export const systemProcesses: Processes = {
  self() {
    return systemProcesses.identify(process.pid) ?? {pid: process.pid, startedAt: '', ...context()};
  },
  identify(pid) {
    const startedAt = startOf(pid);
    return startedAt === undefined ? undefined : {pid, startedAt, ...context()};
  },
  fateOf(identity) {
    const here = context();
    if (identity.boot === here.boot && identity.space !== here.space) return 'unseen';
    if (identity.machine !== undefined && !isSameMachine(identity.machine, here.machine)) return 'elsewhere';
    if (identity.boot !== here.boot) {
      // A container cannot tell a restart of its machine from a move to another one.
      return identity.machine !== undefined && !hasSameId(identity.machine, here.machine) ? 'elsewhere' : 'rebooted';
    }
    return fateHere(identity.pid, identity.startedAt);
  },
};

/**
 * Names change with a network, cards with their plugs: one of both is enough for machines that share a boot or an
 * id.
 */
export function isSameMachine(one: Machine, other: Machine): boolean {
  return one.name === other.name || (one.cards !== '' && one.cards === other.cards);
}

const hasSameId = (one: Machine, other: Machine) => one.id !== '' && one.id === other.id;

/** Fate of a process of this boot and this process-id space. Without a start time only the number is compared. */
export function fateHere(pid: number, startedAt: string): 'alive' | 'gone' | 'replaced' {
  const present = startOf(pid);
  if (present === undefined) return 'gone';
  return startedAt === '' || present === '' || present === startedAt ? 'alive' : 'replaced';
}

type Context = Pick<ProcessIdentity, 'boot' | 'space'> & {machine: Machine};
let known: Context | undefined;

/** Read once: bkp compares it with what it recorded itself, so a name that changes meanwhile must not matter. */
function context(): Context {
  known ??= readContext();
  return known;
}

function readContext(): Context {
  const name = hostname();
  switch (process.platform) {
    case 'linux': {
      const boot = readText('/proc/sys/kernel/random/boot_id');
      const space = attempt(() => readlinkSync('/proc/self/ns/pid')) ?? '';
      const id = space === firstSpace ? readText('/etc/machine-id') : '';
      return {boot, space, machine: {name, id, cards: cardsOf()}};
    }
    case 'darwin': {
      const boot = ask('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid']) ?? '';
      const registry = ask('/usr/sbin/ioreg', ['-rd1', '-c', 'IOPlatformExpertDevice']) ?? '';
      const id = /"IOPlatformUUID" = "([^"]+)"/.exec(registry)?.[1] ?? '';
      return {boot, space: '', machine: {name, id, cards: cardsOf()}};
    }
    default:
      return {boot: '', space: '', machine: {name, id: '', cards: cardsOf()}};
  }
}

/** The machine's own process-id namespace has a fixed number: PROC_PID_INIT_INO, linux/proc_ns.h. */
const firstSpace = 'pid:[4026531836]';

/**
 * @returns the hardware addresses of the machine's network cards. Of its many networks only the cards count: those of
 *   containers come and go. Inside a container, which has no card, its own networks do.
 */
export function cardsOf(): string {
  const macs = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({internal}) => !internal)
      .map(({mac}) => ({mac, isCard: existsSync(`/sys/class/net/${name}/device`)})),
  );
  const own = macs.some(({isCard}) => isCard) ? macs.filter(({isCard}) => isCard) : macs;
  return [...new Set(own.map(({mac}) => mac))].sort().join();
}

/** @returns when the living process with this number started; undefined when none lives */
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
  // With the mount option hidepid, the processes of other users have no readable folder.
  if (fields === undefined) return isThere(pid) ? '' : undefined;
  const [state] = fields;
  return state === 'Z' || state === 'X' ? undefined : fields[22 - 3];
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
  // Only macOS asks, so only there the module is loaded.
  const {execFileSync} = process.getBuiltinModule('node:child_process');
  return attempt(() =>
    execFileSync(command, args, {env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).trim(),
  );
}

function readText(file: string): string {
  return attempt(() => readFileSync(file, 'utf8').trim()) ?? '';
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
