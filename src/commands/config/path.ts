import {Command} from 'commander';
import {ExitStatus} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';

export function configPath(deps: CommandDeps, run = runConfigPath): Command {
  return new Command('path')
    .description('Print the path of the configuration file. It is created by the first bkp config set.')
    .addHelpText('after', helpTail(['bkp config path'], ['done', 'usage']))
    .action(async () => deps.exitWith(await run(deps)));
}

export async function runConfigPath(deps: CommandDeps): Promise<ExitStatus> {
  deps.stdout.write(`${deps.home.configFile}\n`);
  return ExitStatus.done;
}
