import {Command, Option} from 'commander';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {runRetentionPlan} from './plan.ts';

export function command(deps: CommandDeps, run = runRetentionPlan): Command {
  const group = new Command('retention')
    .description('Show what the rules remove: KEEP_… of collections, and backup.cleanup.keep.… for databases.')
    .addHelpText('after', helpTail(['bkp retention plan', 'bkp retention plan shop']));
  group
    .command('plan')
    .description(
      'Show for each backup whether it stays or goes now, which rules keep it, and why. Removes nothing: the cleanup ' +
        'runs after the next successful backup, which counts as one of those that stay. Backups of the whole ' +
        'database are listed last, without a collection.',
    )
    .argument('[collection]', 'name of the collection; without it: all that have a KEEP_… setting, and the database')
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail([
        'bkp retention plan shop',
        'bkp retention plan --format json | jq -r \'select(.action=="goes").backup\'',
      ]),
    )
    .action((collection: string | undefined, options: {format: RowFormat}) => run(deps, {...options, collection}));
  return group;
}
