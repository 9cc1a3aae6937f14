import {Command, Option} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type DoctorOptions, runDoctor} from './run.ts';

export function command(deps: CommandDeps, run = runDoctor): Command {
  return new Command('doctor')
    .description('Check Node, home, profile, source, stores, schedules and chains, and suggest a fix for each fault.')
    .option(
      '--repair',
      'remove change tracking that is broken or belongs to no collection; rewrite the lost header of a vault',
      false,
    )
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText('after', helpTail(['bkp doctor', 'bkp doctor --format json | jq -e .ok'], ['done', 'failed', 'usage']))
    .action((options: DoctorOptions) => run(deps, options));
}
