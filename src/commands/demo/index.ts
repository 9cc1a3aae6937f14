import {Command} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {runDemo} from './run.ts';

export function command(deps: CommandDeps, run = runDemo): Command {
  return new Command('demo')
    .description('Show the whole of it on a small shop database in a temporary folder: real commands, real output.')
    .option('--customers <number>', 'size of the shop; each customer brings about 18 rows', '4000')
    .option('--postgres', 'with PostgreSQL: start a server of this machine in the folder', false)
    .option('--keep', 'leave the folder with database and backups there', false)
    .addHelpText(
      'after',
      helpTail(['bkp demo', 'bkp demo --postgres', 'bkp demo --customers 50000 --keep'], ['done', 'failed', 'usage']),
    )
    .action((options: {customers: string; keep: boolean; postgres: boolean}) =>
      run(deps, {...options, customers: Number(options.customers)}),
    );
}
