import {Command} from 'commander';
import {explainSettings, knownSetting} from '../../config/index.ts';
import {BkpError, ExitStatus} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';

export type ConfigGetOptions = {key: string};

export function configGet(deps: CommandDeps, run = runConfigGet): Command {
  return new Command('get')
    .description('Print the current value of a setting, wherever it is set. *** replaces a secret.')
    .argument('<key>', 'name of the setting; bkp config list shows them all')
    .addHelpText('after', helpTail(['bkp config get source'], ['done', 'failed', 'usage', 'refused']))
    .action(async (key: string) => deps.exitWith(await run(deps, {key})));
}

export async function runConfigGet(deps: CommandDeps, {key}: ConfigGetOptions): Promise<ExitStatus> {
  const {key: known} = await knownSetting(key);
  // `shown` has `***` in place of secrets.
  const shown = (await explainSettings(deps)).find((setting) => setting.key === known)?.shown;
  if (shown === undefined) {
    throw new BkpError('BAD_REQUEST', `${known} is not set`, {next: `bkp config set ${known} VALUE`});
  }
  deps.stdout.write(`${shown}\n`);
  return ExitStatus.done;
}
