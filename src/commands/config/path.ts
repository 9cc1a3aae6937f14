import {Command} from 'commander';
import type {Deps} from '../../app/deps.ts';
import {ExitStatus} from '../../errors/index.ts';
import {helpTail} from '../help.ts';

export function configPath(deps: Deps, run = runConfigPath): Command {
  return new Command('path')
    .description('Print where the configuration file lies. It is made by the first bkp config set.')
    .addHelpText('after', helpTail(['bkp config path'], ['done', 'usage']))
    .action(async () => deps.exitWith(await run(deps)));
}

export async function runConfigPath(deps: Deps): Promise<ExitStatus> {
  deps.stdout.write(`${deps.home.configFile}\n`);
  return ExitStatus.done;
}
