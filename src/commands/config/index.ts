import {Command} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {configGet} from './get.ts';
import {configList} from './list.ts';
import {configPath} from './path.ts';
import {configProfile} from './profile.ts';
import {configSet} from './set.ts';
import {configUnset} from './unset.ts';

/** `bkp config …`: settings and profiles. */
export function command(deps: CommandDeps): Command {
  const group = new Command('config')
    .summary('show and change settings and profiles')
    .description('bkp looks settings up in flags, the environment, the profile, and the defaults, in this order.')
    .helpCommand(false)
    .addHelpText(
      'after',
      helpTail(
        ['bkp config set source sqlite::path=./app.db', 'bkp config list --show-origin'],
        ['done', 'failed', 'usage', 'refused'],
      ),
    );
  for (const verb of [configSet, configGet, configUnset, configList, configProfile, configPath]) {
    group.addCommand(verb(deps));
  }
  return group;
}
