import {Command} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {runScheduler} from './run.ts';

export function command(deps: CommandDeps, run = runScheduler): Command {
  return new Command('scheduler')
    .description(
      'Run the backups, verifications and drills of collections that have a SCHEDULE, and BACKUP DATABASE and ' +
        'VERIFY DATABASE as backup.schedule.cron, backup.schedule.verify.cron and backup.schedule.drill.cron say, ' +
        'until ' +
        'stopped. Each backup runs as with bkp sql, in a worker of its own, which continues when the scheduler ' +
        'ends. A ' +
        'missed run is made up for once; a run that would overlap another is skipped. SIGHUP and SELECT ' +
        'reload_config() reload settings and schedules. Events are printed on standard output, one per line.',
    )
    .argument('[profile...]', 'profiles to use; default: the current profile')
    .option('--once', 'start what is due, then exit; prints nothing when nothing is due; for timers', false)
    .addHelpText('after', helpTail(['bkp scheduler', 'bkp scheduler production archive', 'bkp scheduler --once']))
    .action((profiles: string[], {once}: {once: boolean}) => run(deps, {profiles, once}));
}
