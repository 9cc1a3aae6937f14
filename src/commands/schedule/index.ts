import {Command, InvalidArgumentError, Option} from 'commander';
import {BkpError} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {runScheduleInstall, type ScheduleInstallOptions} from './install.ts';
import {runScheduleNext} from './next.ts';
import {runScheduleTry, type ScheduleTryOptions} from './try.ts';

type NextOptions = Omit<ScheduleTryOptions, 'cron'> & {cron?: string};

const mostMoments = 1000;

export function command(
  deps: CommandDeps,
  next = runScheduleNext,
  install = runScheduleInstall,
  tryLine = runScheduleTry,
): Command {
  const group = new Command('schedule')
    .description(
      'Look at the schedules of collections and of the database (backup.schedule.cron), and have them kept without a ' +
        'scheduler that runs all the time.',
    )
    .addHelpText('after', helpTail(['bkp schedule next', 'bkp schedule install --systemd --print']));
  group
    .command('next')
    .description('Print when the next backups are taken, and of which kind, as long as all of them succeed.')
    .argument('[collection]', 'name of the collection; without it: all that has a schedule')
    .option('--count <n>', 'so many of each', countOf, 5)
    .option('--cron <line>', 'the moments of this line, whatever is set; none of it is kept')
    .option('--tz <zone>', 'time zone of that line (default: UTC)')
    .option('--from <time>', 'the first moment after this one (default: now)')
    .addOption(new Option('--format <format>', 'how rows are printed').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail([
        'bkp schedule next',
        'bkp schedule next shop --count 10 --format json',
        "bkp schedule next --cron '0 6 31W * *' --tz Europe/Berlin --from 2026-01-01",
      ]),
    )
    .action((collection: string | undefined, options: NextOptions) => {
      const {cron, tz, from, ...rest} = options;
      if (cron === undefined && (tz ?? from) === undefined) {
        return next(deps, {...rest, collection});
      }
      if (cron === undefined || collection !== undefined) {
        throw new BkpError('USAGE', '--tz and --from belong to --cron, and a collection has a line of its own', {
          next: "bkp schedule next --cron '0 2 * * *' --tz Europe/Berlin",
        });
      }
      return tryLine(deps, {...rest, cron, tz, from});
    });
  group
    .command('install')
    .description(
      'Have bkp scheduler --once run every five minutes: by units of systemd for this user, which are written, or by a line for ' +
        'crontab, which is printed.',
    )
    .argument('[profile...]', 'profiles that are meant; without any: the profile in use')
    .addOption(new Option('--systemd', 'a timer and its service').conflicts('crontab'))
    .addOption(new Option('--crontab', 'a line for crontab'))
    .option('--print', 'only print, write nothing', false)
    .option('--force', 'write over units that are there', false)
    .addHelpText(
      'after',
      helpTail([
        'bkp schedule install --systemd',
        '(crontab -l; bkp schedule install --crontab) | crontab -',
        'bkp schedule install --systemd --print production',
      ]),
    )
    .action((profiles: string[], options: Omit<ScheduleInstallOptions, 'profiles'>) =>
      install(deps, {...options, profiles}),
    );
  return group;
}

function countOf(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= mostMoments) return count;
  throw new InvalidArgumentError(`type a number from 1 to ${mostMoments}`);
}
