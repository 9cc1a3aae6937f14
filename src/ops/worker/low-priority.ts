import {existsSync, writeFileSync} from 'node:fs';
import {getPriority, setPriority} from 'node:os';

/**
 * Makes a newly started process, with all its later threads, use the processor time that other programs leave, above
 * all a database server. If the system refuses, the process runs at normal priority.
 * @param niceness 0 to 19, as of nice(1)
 */
export function runAtLowPriority(pid: number, niceness: number): void {
  try {
    // Never a higher priority than this process has itself.
    const wanted = Math.max(niceness, getPriority());
    setPriority(pid, wanted);
    // Linux divides processor time among sessions first, and a worker has its own session: sched(7), autogroup.
    const group = `/proc/${pid}/autogroup`;
    if (existsSync(group)) writeFileSync(group, String(wanted));
  } catch {
    // It has ended already, or the system does not allow it.
  }
}
