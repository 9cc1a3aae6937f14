import {Command} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type MetricsOptions, runMetrics} from './run.ts';

export function command(deps: CommandDeps, run = runMetrics): Command {
  return new Command('metrics')
    .description(
      'Print what Prometheus can watch: age of the newest backup of each collection and database, what failed, how long it took. ' +
        'A store that cannot be reached is bkp_store_reachable 0; the rest is printed all the same.',
    )
    .option('--textfile <file>', 'write them there instead, whole or not at all, for the node_exporter')
    .addHelpText(
      'after',
      helpTail(
        ['bkp metrics', 'bkp metrics --textfile /var/lib/node_exporter/textfile/bkp.prom'],
        ['done', 'failed', 'usage', 'partial', 'refused'],
      ),
    )
    .action(async (options: MetricsOptions) => deps.exitWith(await run(deps, options)));
}
