import {Command, Option} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type RestoreOptions, runRestore} from './run.ts';

/** Like RESTORE DATABASE, and reads a file `_backup_restore` in the root. */
export function command(deps: CommandDeps, run = runRestore): Command {
  return new Command('restore')
    .description('Restore a backup of a whole database into an empty place (RESTORE DATABASE … INTO).')
    .requiredOption(
      '--root <place>',
      'folder, or a file for SQLite; a file _backup_restore in the folder is read first, and removed after a success',
    )
    .option('--instance <name>', 'database instance, needed if the store holds backups of several')
    .option('--timestamp <time>', 'restore the newest backup at or before this time; default: the newest')
    .option(
      '--table <name>',
      'restore only this table; can be repeated',
      (name: string, all: string[]) => [...all, name],
      [],
    )
    .option('--conf', "also restore the server's configuration", false)
    .option('--dry-run', 'show the plan: backup, files, bytes, free space, obstacles', false)
    .option('-w, --wait', 'wait for the operation to end', false)
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail([
        'bkp restore --root ./new.db --dry-run',
        "bkp restore --root ./new.db --timestamp '2026-11-21T12:00:00Z' --wait",
      ]),
    )
    .action((options: RestoreOptions) => run(deps, options));
}
