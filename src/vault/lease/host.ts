import {hostname} from 'node:os';
import {fateHere, systemProcesses} from '../../lib/processes.ts';
import {hashHex} from '../format/hash.ts';

/** This process, as its leases name it, and what it can find out about other processes of the same space. */
export type Host = {
  /** For people. */
  name: string;
  /**
   * The boot, the process-id space and the network cards: within one space, a pid means one process. Absent
   * where the system does not report them. Machines that were all started from one memory image of a running
   * machine have the same boot and process ids; their cards' addresses are the only difference that can be read
   * everywhere without rights. Where the cards are the same too, a running process may be taken for dead: it
   * finds out, and only its work is lost (docs/format.md).
   */
  space?: string | undefined;
  pid: number;
  /** When the process was started, in the system's own unit: tells it from a later process with the same pid. */
  started?: string | undefined;
  /** Whether that process of the same space still runs. */
  isAlive(pid: number, started: string | undefined): boolean;
};

/** The host that bkp runs on. Only Linux reports `space`; elsewhere a lease ends by its TTL alone. */
export function thisHost(): Host {
  const name = hostname();
  const isAlive = (pid: number, started = '') => fateHere(pid, started) === 'alive';
  if (process.platform !== 'linux') return {name, pid: process.pid, isAlive};
  const {pid, startedAt, boot, space, machine} = systemProcesses.self();
  const cards = machine?.cards ?? '';
  return {
    name,
    pid,
    space: boot === '' || space === '' ? undefined : `${boot}/${space}/${hashHex(Buffer.from(cards)).slice(0, 16)}`,
    started: startedAt === '' ? undefined : startedAt,
    isAlive,
  };
}
