import {setTimeout as sleep} from 'node:timers/promises';
import {Scheduler} from '../../app/scheduler/scheduler.ts';
import {execute} from '../../app/statements/execute.ts';
import {ExitStatus} from '../../errors/index.ts';
import {printable} from '../../lib/text.ts';
import {secondsText} from '../../lib/time.ts';
import type {SignalSource} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';

export type SchedulerFlags = {profiles: readonly string[]; once: boolean};

/** Runs until SIGTERM or Ctrl-C; the operations that it started continue. */
export async function runScheduler(
  deps: CommandDeps,
  {profiles, once}: SchedulerFlags,
  signals: SignalSource = process,
): Promise<void> {
  const tell = (line: string) => void deps.stdout.write(`${secondsText(deps.nowMicros())} ${printable(line)}\n`);
  const scheduler = new Scheduler({deps, start: execute, profiles, tell, isTerse: once});
  const {signal} = deps;
  let wake = new AbortController();
  let isReloadWanted = false;
  const reload = () => {
    isReloadWanted = true;
    wake.abort();
  };
  signals.on('SIGHUP', reload);
  try {
    await scheduler.reload();
    if (once) {
      await scheduler.round();
      if (scheduler.hasFailed) deps.exitWith(ExitStatus.failed);
      return;
    }
    while (!signal.aborted) {
      if (isReloadWanted) {
        isReloadWanted = false;
        await scheduler.reloadOrKeep('SIGHUP: settings and schedules are reloaded');
      }
      const pauseMs = await scheduler.round();
      wake = new AbortController();
      if (isReloadWanted) continue;
      await sleep(pauseMs, undefined, {signal: AbortSignal.any([signal, wake.signal])}).catch(() => {});
    }
    const {running} = scheduler;
    scheduler.leave();
    tell(
      running.length === 0
        ? 'ended'
        : `ended; ${running.join(', ')} ${running.length === 1 ? 'continues' : 'continue'}`,
    );
  } finally {
    signals.off('SIGHUP', reload);
  }
}
