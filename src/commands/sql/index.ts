import {Command, Option} from 'commander';
import {parse} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {promptForStatements} from './prompt.ts';
import {readText, type TextSource} from './read.ts';
import {runStatements} from './run.ts';

export type SqlOptions = TextSource & {wait: boolean; quiet: boolean; format: RowFormat};

export function command(deps: CommandDeps, run = runSql): Command {
  return new Command('sql')
    .description(
      'Run statements: CREATE, ALTER, DROP BACKUP COLLECTION, BACKUP, RESTORE, VERIFY, PIN, SHOW BACKUPS, SELECT. ' +
        'bkp reads them from the argument, -s, -f, or standard input; without any of these, on a terminal, from ' +
        'a prompt.',
    )
    .argument('[statement]', 'one statement, or several separated by ;')
    .option('-s, --script <text>', 'the same as the argument')
    .option('-f, --file <file>', 'read statements from a file (- is standard input)')
    .option('-w, --wait', 'wait for each operation to end; the exit status is its result', false)
    .option(
      '-q, --quiet',
      'print nothing about operations that succeed, for cron; not for what SELECT and SHOW return',
      false,
    )
    .addOption(new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty'))
    .addHelpText(
      'after',
      helpTail([
        'bkp sql "CREATE BACKUP COLLECTION shop (TABLE orders) WITH (STORAGE=\'cluster\')"',
        'bkp sql "BACKUP shop"',
        'bkp sql --wait "BACKUP shop INCREMENTAL"',
        'bkp sql --wait --quiet "BACKUP shop INCREMENTAL OR FULL"',
        'bkp sql --wait "RESTORE shop"',
        'bkp sql "SELECT id, status, progress_percent FROM operations() ORDER BY create_ts DESC LIMIT 1"',
      ]),
    )
    .action((statement: string | undefined, options: Omit<SqlOptions, 'statement'>) =>
      run(deps, {...options, statement}),
    );
}

export async function runSql(deps: CommandDeps, options: SqlOptions): Promise<void> {
  const text = await readText(deps, options);
  if (text === undefined) return promptForStatements(deps, options);
  await runStatements(deps, parse(text), options);
}
