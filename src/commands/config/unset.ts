import {Command} from 'commander';
import {openProfiles, profileName} from '../../config/index.ts';
import {ExitStatus} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';

export type ConfigUnsetOptions = {key: string};

export function configUnset(deps: CommandDeps, run = runConfigUnset): Command {
  return new Command('unset')
    .description("Remove a setting's value from the profile; the default applies again.")
    .argument('<key>', 'name of the setting')
    .addHelpText('after', helpTail(['bkp config unset cluster'], ['done', 'failed', 'usage', 'refused']))
    .action(async (key: string) => deps.exitWith(await run(deps, {key})));
}

export async function runConfigUnset(deps: CommandDeps, {key}: ConfigUnsetOptions): Promise<ExitStatus> {
  const profile = await profileName(deps);
  const removed = await (await openProfiles(deps.home)).unset(profile, key);
  if (!removed) deps.stderr.write(`bkp: ${key} was not set in profile ${profile}\n`);
  return ExitStatus.done;
}
