import {Command, Option} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type RestoreOptions, runRestore} from './run.ts';

/** RESTORE and RESTORE DATABASE; the latter reads a file `_backup_restore` in the root. */
export function command(deps: CommandDeps, run = runRestore): Command {
  return new Command('restore')
    .description(
      'Restore a backup: of a collection (RESTORE), or with --root of a whole database into an empty place (RESTORE ' +
        'DATABASE … INTO).',
    )
    .argument('[collection]', 'name of the collection, or collection/backup')
    .option(
      '--table <name[=new name]>',
      'restore only this table, of a collection also under another name; named as it is or in double quotes as in ' +
        'SQL, which a name with = needs; can be repeated',
      (name: string, all: string[]) => [...all, name],
      [],
    )
    .option(
      '--at <when>',
      'a backup, a time (the newest backup with nothing from after it), -1day, or latest; default: the newest',
    )
    .option('--into <database>', 'restore the tables into this database instead of the source; a new file is created')
    .option('--into-schema <schema>', 'restore the tables into this schema; it is created (PostgreSQL)')
    .addOption(
      new Option('--mode <mode>', 'change the rows of tables that exist; replace also removes newer rows').choices([
        'merge',
        'replace',
      ]),
    )
    .option('--partial', 'restore what a damaged backup still has; exit status 3 if something is missing', false)
    .addOption(new Option('--check <check>', "the database's own check at the end").choices(['quick', 'full']))
    .option(
      '--root <place>',
      'restore a whole database here: a folder, or a file for SQLite; a file _backup_restore in the folder is read ' +
        'first, and removed after a success',
    )
    .option('--instance <name>', 'with --root: database instance, needed if the store holds backups of several')
    .option('--timestamp <time>', 'with --root: the same as --at')
    .option('--conf', "with --root: also restore the server's configuration", false)
    .option('--dry-run', 'show the plan: tables, bytes, space, obstacles; restore nothing', false)
    .option('-w, --wait', 'wait for the operation to end', false)
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail([
        'bkp restore shop --dry-run',
        'bkp restore shop --table orders --wait',
        "bkp restore shop --table orders=orders_before --at '-1 day' --wait",
        "bkp restore shop --at '2026-11-21T12:00:00Z' --into ./new.db",
        "bkp restore --root ./new.db --timestamp '2026-11-21T12:00:00Z' --wait",
      ]),
    )
    .action((collection: string | undefined, options: Omit<RestoreOptions, 'collection'>) =>
      run(deps, {...options, collection}),
    );
}
