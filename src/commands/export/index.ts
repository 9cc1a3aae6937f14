import {Command, Option} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type ExportOptions, exportFormats, runExport} from './run.ts';

export function command(deps: CommandDeps, run = runExport): Command {
  return new Command('export')
    .description(
      'Write a backup, or one of its tables, to a plain file: an SQLite database (app.db; of a backup of SQLite), a ' +
        'script for psql (app.sql; of a backup of PostgreSQL), comma-separated values (orders.csv) or JSON lines ' +
        '(orders.jsonl). An existing file is never overwritten, and the file appears when it is complete.',
    )
    .argument('<collection>', 'name of the collection')
    .argument('<file>', 'file to write; - is standard output, for csv, jsonl and sql')
    .option('--at <backup>', 'backup or time; default: the newest backup')
    .option(
      '--table <table>',
      'only this table, named as it is or in quotes as in SQL; can be repeated for a database or script; default: ' +
        'the table that the file is called after, or all',
      (name: string, all: string[]) => [...all, name],
      [],
    )
    .addOption(
      new Option('--format <format>', "what to write; default: by the file's name (.db, .csv, .jsonl, .sql)").choices(
        exportFormats,
      ),
    )
    .addHelpText(
      'after',
      helpTail([
        'bkp export shop copy.db',
        'bkp export shop copy.sql',
        "bkp export shop orders.csv --at '2026-11-21 12:00'",
        'bkp export shop - --table orders --format jsonl | jq .status',
      ]),
    )
    .action((collection: string, file: string, options: Omit<ExportOptions, 'collection' | 'file'>) =>
      run(deps, {collection, file, ...options}),
    );
}
