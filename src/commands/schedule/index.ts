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
      'Show the schedules of collections and of the database (backup.schedule.cron), and install a timer that ' +
        'runs them ' +
        'without a permanent scheduler process.',
    )
    .addHelpText('after', helpTail(['bkp schedule next', 'bkp schedule install --systemd --print']));
  group
    .command('next')
    .description('Print when the next backups run, and their kind, assuming that each one succeeds.')
    .argument('[collection]', 'name of the collection; default: everything that has a schedule')
    .option('--count <n>', 'how many of each', countOf, 5)
    .option('--cron <line>', 'print the times of this cron line instead of the stored schedules; stores nothing')
    .option('--tz <zone>', 'time zone of the line (default: UTC)')
    .option('--from <time>', 'start after this time (default: now)')
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
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
        throw new BkpError('USAGE', '--tz and --from need --cron, and --cron takes no collection', {
          next: "bkp schedule next --cron '0 2 * * *' --tz Europe/Berlin",
        });
      }
      return tryLine(deps, {...rest, cron, tz, from});
    });
  group
    .command('install')
    .description(
      'Run bkp scheduler --once every five minutes: --systemd writes user units for systemd, --crontab prints a ' +
        'line for ' +
        'crontab.',
    )
    .argument('[profile...]', 'profiles to use; default: the current profile')
    .addOption(new Option('--systemd', 'a timer and its service').conflicts('crontab'))
    .addOption(new Option('--crontab', 'a line for crontab'))
    .addOption(
      new Option(
        '--credential <file>',
        'a file with the password of the vault, which systemd hands to the service',
      ).conflicts('credentialEncrypted'),
    )
    .option('--credential-encrypted <file>', 'the same, made by systemd-creds encrypt --name=bkp.password')
    .option('--print', 'print the units, write nothing', false)
    .option('--force', 'overwrite existing units', false)
    .addHelpText(
      'after',
      helpTail([
        'bkp schedule install --systemd',
        '(crontab -l; bkp schedule install --crontab) | crontab -',
        'bkp schedule install --systemd --print production',
        'bkp schedule install --systemd --credential ~/.config/bkp/password',
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
