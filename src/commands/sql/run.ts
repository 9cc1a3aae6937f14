import {execute} from '../../app/statements/execute.ts';
import type {StatementResult} from '../../app/statements/result.ts';
import {BkpError, ExitStatus} from '../../errors/index.ts';
import type {Statement} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {isDatabasePossible, isPossible, renderRestorePlan} from '../restore-plans.ts';
import {printedTable, tableOf} from '../tables.ts';
import {waitForOperation} from './wait.ts';

export type ReportOptions = {
  wait: boolean;
  /** Print nothing about an operation that was started, unless it fails. Default false. */
  quiet?: boolean;
  format: RowFormat;
};

/**
 * Runs statements one after the other; stops at the first error.
 * @param options.wait wait for each operation before the next statement starts
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
      // With --format json stderr holds only the error.
      if (left > 0 && options.format === 'pretty')
        deps.warn(`statement ${at + 1} of ${statements.length} failed, ${left} not run`);
      throw error;
    }
  }
}

/**
 * Prints the result of a statement and, if asked, waits for its operation.
 * @returns `left` after a Ctrl-C during the wait: later statements are not run
 */
export async function report(
  deps: CommandDeps,
  result: StatementResult,
  {wait, quiet = false, format}: ReportOptions,
): Promise<'done' | 'left'> {
  // The operation has the notices as well.
  const isQuiet = quiet && result.operation !== undefined;
  const printRow = (row: StatementResult) => {
    const table = isQuiet ? undefined : tableOf(row);
    if (table !== undefined) deps.stdout.write(printedTable(table, format, deps.stdout));
  };
  if (!isQuiet) for (const notice of result.notices) deps.warn(notice);
  if (result.rows?.kind === 'restore-plan') deps.stdout.write(renderRestorePlan(result.rows, format));
  if (result.operation === undefined || !wait) {
    printRow(result);
    if (isBlockedPlan(result)) deps.exitWith(ExitStatus.refused);
    return 'done';
  }
  // Which backup it makes is certain at its end only.
  const end = await waitForOperation(deps, result.operation, {
    ...{quiet, format},
    ended: (operation) => printRow({...result, operation}),
  });
  if (end === 'left') deps.exitWith(ExitStatus.interrupted);
  return end;
}

/** Whether it is a dry run of a restore that would fail. */
function isBlockedPlan({rows}: StatementResult): boolean {
  if (rows?.kind === 'restore-plan') return !isPossible(rows.plan);
  return rows?.kind === 'database-restore-plan' && !isDatabasePossible(rows.plan);
}
