import {Command} from 'commander';
import {knownSetting, openProfiles, overrideOf, profileName} from '../../config/index.ts';
import {ExitStatus} from '../../errors/index.ts';
import type {Deps} from '../deps.ts';
import {helpTail} from '../help.ts';

export type ConfigSetOptions = {key: string; value: string};

export function configSet(deps: Deps, run = runConfigSet): Command {
  return new Command('set')
    .description('Keep a value in the profile. A relative path is kept absolute.')
    .argument('<key>', 'which setting; bkp config list shows them all')
    .argument('<value>', 'its new value')
    .addHelpText(
      'after',
      helpTail(
        [
          'bkp config set source sqlite::path=./app.db',
          'bkp config set cluster /backups',
          'bkp --profile prod config set backup.compression.level 9',
        ],
        ['done', 'failed', 'usage', 'refused'],
      ),
    )
    .action(async (key: string, value: string) => deps.exitWith(await run(deps, {key, value})));
}

/** Says what was kept, because it may differ from what was typed, and whether something else wins over it. */
export async function runConfigSet(deps: Deps, {key, value}: ConfigSetOptions): Promise<ExitStatus> {
  const setting = await knownSetting(key);
  const profile = await profileName(deps);
  const kept = await (await openProfiles(deps.home)).set(profile, setting.key, value, process.cwd());
  deps.stderr.write(`bkp: ${setting.key} is ${kept} in profile ${profile}\n`);
  const override = await overrideOf(setting, deps);
  if (override !== undefined) deps.stderr.write(`bkp: it has no effect as long as ${override} is set\n`);
  return ExitStatus.done;
}
