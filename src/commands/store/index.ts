import {Command, Option} from 'commander';
import type {Check} from '../../app/health/check.ts';
import {checkPlace} from '../../app/health/check-place.ts';
import {placesOf} from '../../app/places/places.ts';
import {type CheckFormat, printChecks} from '../checks.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {runStoreForget} from './forget.ts';

export type StoreCheckOptions = {format: CheckFormat};

export function command(deps: CommandDeps, run = runStoreCheck, forget = runStoreForget): Command {
  const group = new Command('store')
    .description('Look at the stores that hold backups.')
    .addHelpText('after', helpTail(['bkp store check', "bkp --store 's3://backups/shop' store check"]));
  group
    .command('check')
    .description(
      'Say what each store does and what it lacks: for a directory links, syncs and space; for an S3 server conditional ' +
        'writes, listing after writing, ranged reads, the right to remove, versioning, object lock and its clock.',
    )
    .addOption(
      new Option('--format <format>', 'how the findings are printed').choices(['pretty', 'json']).default('pretty'),
    )
    .addHelpText(
      'after',
      helpTail(['bkp store check', 'bkp store check --format json | jq -e .ok'], ['done', 'failed', 'usage']),
    )
    .action((options: StoreCheckOptions) => run(deps, options));
  group
    .command('forget')
    .description(
      'Let go of vaults that are gone for good. bkp remembers which stores held a vault, so that a disk that is not ' +
        'mounted is not taken for a new store; after this, CREATE BACKUP COLLECTION or BACKUP DATABASE makes a new ' +
        'vault there. A vault that is there is not forgotten, and nothing is removed from any store.',
    )
    .addHelpText('after', helpTail(['bkp --store cluster store forget'], ['done', 'failed', 'usage']))
    .action(() => forget(deps));
  return group;
}

export async function runStoreCheck(deps: CommandDeps, {format}: StoreCheckOptions): Promise<void> {
  const checks: Check[] = [];
  for (const place of await placesOf(deps)) checks.push(...(await checkPlace(deps, place)));
  printChecks(deps, checks, format);
}
