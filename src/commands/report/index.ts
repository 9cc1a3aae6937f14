import {Command, Option} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type ReportOptions, runReport} from './run.ts';

export function command(deps: CommandDeps, run = runReport): Command {
  return new Command('report')
    .description(
      "Print the newest report of a VERIFY … WITH (LEVEL='restore'), of a collection or a whole database, or of " +
        "LEVEL='source': what was checked, against what, when, by which bkp, and how long a recovery took. " +
        'SELECT * FROM verifications() lists all.',
    )
    .argument('[collection]', 'name of the collection, or of a database instance; without it: the newest report of all')
    .option('--backup <backup>', 'the newest report on this backup')
    .option('--id <report>', 'this report, as verifications() names it')
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText('after', helpTail(['bkp report shop', 'bkp report shop --format json | jq .restoreSeconds']))
    .action((collection: string | undefined, options: Omit<ReportOptions, 'collection'>) =>
      run(deps, {...options, collection}),
    );
}
