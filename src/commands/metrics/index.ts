import {Command} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type MetricsOptions, runMetrics} from './run.ts';

export function command(deps: CommandDeps, run = runMetrics): Command {
  return new Command('metrics')
    .description(
      'Print metrics for Prometheus: age of the newest backup of each collection and database, failures, durations. ' +
        'A store that cannot be reached is reported as bkp_store_reachable 0; all other metrics are still printed.',
    )
    .option('--textfile <file>', 'write the metrics atomically to this file, for the node_exporter')
    .addHelpText(
      'after',
      helpTail(
        ['bkp metrics', 'bkp metrics --textfile /var/lib/node_exporter/textfile/bkp.prom'],
        ['done', 'failed', 'usage', 'partial', 'refused'],
      ),
    )
    .action(async (options: MetricsOptions) => deps.exitWith(await run(deps, options)));
}
