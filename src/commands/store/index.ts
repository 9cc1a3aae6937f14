import {Command, Option} from 'commander';
import type {Check} from '../../app/health/check.ts';
import {checkPlace} from '../../app/health/check-place.ts';
import {placesOf} from '../../app/places/places.ts';
import {type CheckFormat, printChecks} from '../checks.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {runAcceptGone} from './accept-gone.ts';
import {runStoreForget} from './forget.ts';

export type StoreCheckOptions = {format: CheckFormat};

export function command(
  deps: CommandDeps,
  run = runStoreCheck,
  forget = runStoreForget,
  acceptGone = runAcceptGone,
): Command {
  const group = new Command('store')
    .description('Check the stores that hold backups.')
    .addHelpText('after', helpTail(['bkp store check', "bkp --store 's3://backups/shop' store check"]));
  group
    .command('check')
    .description(
      'Show what each store supports and what it lacks. For a directory: links, syncs and space. For an S3 server: ' +
        'conditional writes, listing after writing, ranged reads, permission to remove, versioning, object lock ' +
        'and its ' +
        'clock.',
    )
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail(['bkp store check', 'bkp store check --format json | jq -e .ok'], ['done', 'failed', 'usage']),
    )
    .action((options: StoreCheckOptions) => run(deps, options));
  group
    .command('forget')
    .description(
      'Forget vaults that are permanently lost. bkp remembers which stores held a vault, so that it does not mistake ' +
        'an unmounted disk for a new store. Afterwards CREATE BACKUP COLLECTION or BACKUP DATABASE creates a ' +
        'new vault ' +
        'there. An existing vault is not forgotten, and nothing is removed from any store.',
    )
    .option(
      '--gone',
      'only accept that the newest backups of an encrypted vault are gone, which bkp otherwise reports: the vault ' +
        'then expects them on no machine',
    )
    .addHelpText(
      'after',
      helpTail(['bkp --store cluster store forget', 'bkp store forget --gone'], ['done', 'failed', 'usage']),
    )
    .action(({gone}: {gone?: true}) => (gone ? acceptGone(deps) : forget(deps)));
  return group;
}

export async function runStoreCheck(deps: CommandDeps, {format}: StoreCheckOptions): Promise<void> {
  const checks: Check[] = [];
  for (const place of await placesOf(deps)) checks.push(...(await checkPlace(deps, place)));
  printChecks(deps, checks, format);
}
