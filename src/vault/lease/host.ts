import {existsSync, readFileSync, readlinkSync} from 'node:fs';
import {hostname, networkInterfaces} from 'node:os';
import {systemCode} from '../../errors/index.ts';
import {hashHex} from '../format/hash.ts';

/** This process, as its leases name it, and what it can tell of its neighbours. */
export type Host = {
  /** For people. */
  name: string;
  /**
   * The boot, the process-id space and the network cards: within one, a pid means one process. Absent where the system does not
   * tell. Machines that were all started from one image of a running machine's memory have the same boot and process ids; of
   * what tells them apart, only their cards' addresses can be had everywhere and without rights. Where even these are the same, a
   * running process may be taken for dead: it finds out, and only its work is lost (docs/format.md).
   */
  space?: string;
  pid: number;
  /** When the process was started, in the system's own unit: tells it from a later one with the same pid. */
  started?: string;
  /** Whether that process of the same space still runs. */
  isAlive(pid: number, started: string | undefined): boolean;
};

/** The host that bkp runs on. Linux tells `space` and `started`; elsewhere leases end by their TTL alone. */
export function thisHost(): Host {
  const space = readSpace();
  const started = processStart(process.pid);
  return {
    name: hostname(),
    pid: process.pid,
    ...(space === undefined ? {} : {space}),
    ...(started === undefined ? {} : {started}),
    isAlive,
  };
}

/** Containers share a boot and even a host name, but not their pids: proc(5), pid_namespaces(7). */
function readSpace(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${readlinkSync('/proc/self/ns/pid')}/${cards()}`;
  } catch {
    return undefined;
  }
}

/**
 * Hardware addresses of the machine's network cards, as one number. Of a machine's many networks only its cards stay: those of
 * containers come and go. Within a container, which has none, its own networks do.
 */
function cards(): string {
  const macs = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({internal}) => !internal)
      .map(({mac}) => ({mac, isCard: existsSync(`/sys/class/net/${name}/device`)})),
  );
  const own = macs.some(({isCard}) => isCard) ? macs.filter(({isCard}) => isCard) : macs;
  return hashHex(Buffer.from([...new Set(own.map(({mac}) => mac))].sort().join())).slice(0, 16);
}

/** Fields of /proc/PID/stat after the command's name, which may hold anything but ends at the last `)`: proc(5). */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Field 22, counted from the pid; the state is field 3. */
const processStart = (pid: number) => statFields(pid)?.[22 - 3];

function isAlive(pid: number, started: string | undefined): boolean {
  const fields = statFields(pid);
  if (fields !== undefined) {
    // A zombie has ended; only its parent has not asked yet.
    if (fields[0] === 'Z' || fields[0] === 'X') return false;
    return started === undefined || fields[22 - 3] === started;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}
