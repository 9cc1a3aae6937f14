import {Command, Option} from 'commander';
import {openProfiles} from '../../config/index.ts';
import {ExitStatus} from '../../errors/index.ts';
import {type RowFormat, renderRows} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';

export type ConfigProfileChange = {verb: 'create' | 'activate' | 'delete'; name: string};
export type ConfigProfileListOptions = {format: RowFormat};

/** `bkp config profile …`: profiles are named sets of settings; one of them is active. */
export function configProfile(deps: CommandDeps): Command {
  return new Command('profile')
    .description('Create, list, activate and delete profiles, which are named sets of settings.')
    .helpCommand(false)
    .addHelpText(
      'after',
      helpTail(
        [
          'bkp config profile create prod',
          'bkp --profile prod config set source /srv/prod.db',
          'bkp config profile activate prod',
        ],
        ['done', 'failed', 'usage', 'refused'],
      ),
    )
    .addCommand(configProfileChange(deps, 'create', 'Create an empty profile. Use it with --profile, or activate it.'))
    .addCommand(configProfileList(deps))
    .addCommand(configProfileChange(deps, 'activate', 'Use this profile by default.'))
    .addCommand(configProfileChange(deps, 'delete', 'Delete a profile and its settings. Backups are not touched.'));
}

export function configProfileChange(
  deps: CommandDeps,
  verb: ConfigProfileChange['verb'],
  description: string,
  run = runConfigProfileChange,
): Command {
  return new Command(verb)
    .description(description)
    .argument('<name>', 'name of the profile')
    .addHelpText('after', helpTail([`bkp config profile ${verb} prod`], ['done', 'failed', 'usage', 'refused']))
    .action(async (name: string) => deps.exitWith(await run(deps, {verb, name})));
}

export async function runConfigProfileChange(
  deps: CommandDeps,
  {verb, name}: ConfigProfileChange,
): Promise<ExitStatus> {
  const profiles = await openProfiles(deps.home);
  await profiles[verb](name);
  return ExitStatus.done;
}

export function configProfileList(deps: CommandDeps, run = runConfigProfileList): Command {
  return new Command('list')
    .description('List the profiles and show which one is active.')
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText('after', helpTail(['bkp config profile list'], ['done', 'failed', 'usage', 'refused']))
    .action(async (options: ConfigProfileListOptions) => deps.exitWith(await run(deps, options)));
}

export async function runConfigProfileList(deps: CommandDeps, {format}: ConfigProfileListOptions): Promise<ExitStatus> {
  const profiles = await openProfiles(deps.home);
  const active = profiles.active();
  const rows = profiles.list().map((name) => [name, name === active]);
  deps.stdout.write(renderRows(['profile', 'active'], rows, format));
  return ExitStatus.done;
}
