import {Command, Option} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type RestoreOptions, runRestore} from './run.ts';

/** The same as RESTORE DATABASE, with what a file `_backup_restore` in the root says. */
export function command(deps: CommandDeps, run = runRestore): Command {
  return new Command('restore')
    .description('Put a backup of a whole database where nothing is yet (RESTORE DATABASE … INTO).')
    .requiredOption(
      '--root <place>',
      'a file for SQLite; a file _backup_restore in a folder is read first, and removed after a success',
    )
    .option('--instance <name>', 'whose backup, when the store holds several databases’')
    .option('--timestamp <time>', 'the newest backup at or before it; default: the newest of all')
    .option(
      '--table <name>',
      'only this table; may be given again',
      (name: string, all: string[]) => [...all, name],
      [],
    )
    .option('--conf', "also the server's configuration", false)
    .option('--dry-run', 'say what would be done: which backup, files, bytes, space, what is in the way', false)
    .option('-w, --wait', 'wait for the operation to end', false)
    .addOption(new Option('--format <format>', 'how answers are printed').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail([
        'bkp restore --root ./new.db --dry-run',
        "bkp restore --root ./new.db --timestamp '2026-11-21T12:00:00Z' --wait",
      ]),
    )
    .action((options: RestoreOptions) => run(deps, options));
}
