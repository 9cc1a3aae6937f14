import {Command, Option} from 'commander';
import {quoteName} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type CleanupOptions, runCleanup, runStatement} from './run.ts';

/** Each verb runs the statement that it stands for. */
export function command(deps: CommandDeps, run = runStatement, cleanup = runCleanup): Command {
  const group = new Command('collection')
    .description('List backup collections, and free the space of dropped ones.')
    .addHelpText('after', helpTail(['bkp collection list', 'bkp collection show shop']));
  const format = () => new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty');
  group
    .command('list')
    .description('List the collections in every store of the profile (SHOW BACKUP COLLECTIONS).')
    .addOption(format())
    .addHelpText('after', helpTail(['bkp collection list']))
    .action((options: {format: RowFormat}) => run(deps, 'SHOW BACKUP COLLECTIONS', options));
  group
    .command('show')
    .description('List the backups of a collection: time, kind, rows, bytes added to the store (SHOW BACKUPS IN name).')
    .argument('<collection>', 'name of the collection')
    .addOption(format())
    .addHelpText(
      'after',
      helpTail(['bkp collection show shop', 'bkp collection show shop --format json | jq -r .backup']),
    )
    .action((name: string, options: {format: RowFormat}) =>
      run(deps, `SHOW BACKUPS IN ${quoteName(name, {always: true})}`, options),
    );
  group
    .command('cleanup')
    .description(
      'Remove data that no backup needs, left by an interrupted cleanup or backup. DROP starts this cleanup ' +
        'automatically.',
    )
    .option('--dry-run', 'show for each store what would go, and remove nothing', false)
    .option('-w, --wait', 'wait for the operation to end', false)
    .addOption(format())
    .addHelpText('after', helpTail(['bkp collection cleanup --dry-run', 'bkp collection cleanup --wait']))
    .action((options: CleanupOptions) => cleanup(deps, options));
  return group;
}
