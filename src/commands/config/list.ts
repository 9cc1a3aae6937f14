import {Command, Option} from 'commander';
import {explainSettings, exposures} from '../../config/index.ts';
import {ExitStatus} from '../../errors/index.ts';
import {type RowFormat, renderRows} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';

export type ConfigListOptions = {showOrigin: boolean; format: RowFormat};

export function configList(deps: CommandDeps, run = runConfigList): Command {
  return new Command('list')
    .description('List every setting with its current value.')
    .option('--show-origin', 'also show where each value is set', false)
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail(
        ['bkp config list --show-origin', 'bkp config list --format json'],
        ['done', 'failed', 'usage', 'refused'],
      ),
    )
    .action(async (options: ConfigListOptions) => deps.exitWith(await run(deps, options)));
}

/** JSON always contains the origin. */
export async function runConfigList(deps: CommandDeps, {showOrigin, format}: ConfigListOptions): Promise<ExitStatus> {
  const settings = await explainSettings(deps);
  const withOrigin = showOrigin || format === 'json';
  const columns = ['key', 'value', ...(withOrigin ? ['origin'] : [])];
  const absent = format === 'json' ? null : '-';
  // As text: numbers would be aligned to the right of a column that is as wide as a path.
  const cell = (shown: string | number | boolean) => (format === 'json' ? shown : String(shown));
  const rows = settings.map(({key, shown, origin}) => [
    key,
    shown === undefined ? absent : cell(shown),
    ...(withOrigin ? [origin] : []),
  ]);
  deps.stdout.write(renderRows(columns, rows, format));
  for (const told of await exposures(deps)) deps.warn(told);
  return ExitStatus.done;
}
