import {execute} from '../../app/statements/execute.ts';
import type {StatementResult} from '../../app/statements/result.ts';
import {BkpError, ExitStatus} from '../../errors/index.ts';
import type {Statement} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {printedTable, tableOf} from '../tables.ts';
import {waitForOperation} from './wait.ts';

export type ReportOptions = {wait: boolean; format: RowFormat};

/**
 * Runs statements one after the other. The first error ends the row; those after it are not run.
 * @param options.wait each operation is waited for before the next statement begins
 */
export async function runStatements(
  deps: CommandDeps,
  statements: readonly Statement[],
  options: ReportOptions,
): Promise<void> {
  if (statements.length === 0) throw new BkpError('USAGE', 'there is no statement', {next: 'bkp sql --help'});
  for (const [at, statement] of statements.entries()) {
    try {
      if ((await report(deps, await execute(deps, statement), options)) === 'left') return;
    } catch (error) {
      const left = statements.length - at - 1;
      // A program reads the error itself, and nothing beside it.
      if (left > 0 && options.format === 'pretty')
        deps.stderr.write(`bkp: statement ${at + 1} of ${statements.length} failed, ${left} not run\n`);
      throw error;
    }
  }
}

/**
 * Prints what a statement answered and, when asked, waits for its operation.
 * @returns `left` when somebody did not want to wait any longer: what follows is not begun
 */
export async function report(
  deps: CommandDeps,
  result: StatementResult,
  {wait, format}: ReportOptions,
): Promise<'done' | 'left'> {
  for (const notice of result.notices) deps.stderr.write(`bkp: ${notice}\n`);
  const table = tableOf(result);
  if (table !== undefined) deps.stdout.write(printedTable(table, format));
  if (result.operation === undefined || !wait) return 'done';
  const end = await waitForOperation(deps, result.operation, format);
  if (end === 'left') deps.exitWith(ExitStatus.interrupted);
  return end;
}
