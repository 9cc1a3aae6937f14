import {Command, Option} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type DiffOptions, runDiff} from './run.ts';

export function command(deps: CommandDeps, run = runDiff): Command {
  return new Command('diff')
    .description(
      'Show how many rows of each table were added, changed and deleted between two backups of a collection, or ' +
        'between a backup and the database now, and how the tables themselves changed.',
    )
    .argument('<collection>', 'name of the collection, or of one of its backups')
    .argument('[from]', 'backup or time; default: the newest backup')
    .argument('[to]', 'backup or time, or now: the database; default: now')
    .option(
      '--table <table>',
      'compare only this table, named as it is or in quotes as in SQL; can be repeated',
      (name: string, all: string[]) => [...all, name],
      [],
    )
    .option('--rows', 'print the rows that differ, one JSON object a line', false)
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail([
        'bkp diff shop',
        "bkp diff shop '2026-11-20' '2026-11-21 12:00'",
        'bkp diff shop 20261121120000Z now --table orders --rows',
        'bkp diff shop/20261121120000Z now',
      ]),
    )
    .action(
      (
        collection: string,
        from: string | undefined,
        to: string | undefined,
        options: Omit<DiffOptions, 'collection' | 'from' | 'to'>,
      ) => run(deps, {collection, from, to, ...options}),
    );
}
