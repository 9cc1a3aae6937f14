import {Command} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {runScheduler} from './run.ts';

export function command(deps: CommandDeps, run = runScheduler): Command {
  return new Command('scheduler')
    .description(
      'Take the backups that collections have a SCHEDULE for, and those of the whole database (BACKUP DATABASE) that ' +
        'backup.schedule.cron asks for, until it is ended; each as bkp sql does, in a worker of its own that goes on when the ' +
        'scheduler ends. A run that was missed is made up once; one that would overlap is skipped. SIGHUP and SELECT ' +
        'reload_config() read settings and schedules anew. What happens is told on standard output, a line each.',
    )
    .argument('[profile...]', 'profiles that are meant; without any: the profile in use')
    .option('--once', 'start what is due and end, without a word when nothing is: for a timer', false)
    .addHelpText('after', helpTail(['bkp scheduler', 'bkp scheduler production archive', 'bkp scheduler --once']))
    .action((profiles: string[], {once}: {once: boolean}) => run(deps, {profiles, once}));
}
