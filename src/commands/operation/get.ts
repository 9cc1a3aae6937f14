import {Command} from 'commander';
import {ExitStatus} from '../../errors/index.ts';
import {type OperationRef, parseOperationId} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';
import {addFormatOption, type FormatFlags, formatOf, type OperationFormat} from '../format-option.ts';
import {helpTail} from '../help.ts';
import {idHelp} from './id-help.ts';
import {printLog} from './log.ts';
import {exitStatusOf, printOperation} from './print.ts';

export type OperationGetOptions = {ref: OperationRef; format: OperationFormat; log: boolean};

type Flags = FormatFlags & {log?: boolean};

export function operationGet(deps: CommandDeps, run = runOperationGet): Command {
  const command = new Command('get')
    .description('Print one operation: its progress or its result.')
    .argument('<id>', idHelp)
    .option('--log', 'print the log file instead')
    .addHelpText(
      'after',
      helpTail(
        ['bkp operation get last', 'bkp operation get fullbackup/1 --log'],
        ['done', 'failed', 'usage', 'partial', 'notFound'],
      ),
    )
    .action(async (id: string, flags: Flags) => {
      const options = {ref: parseOperationId(id), format: formatOf(flags), log: flags.log ?? false};
      deps.exitWith(await run(deps, options));
    });
  return addFormatOption(command);
}

/** Prints a failed operation like any other; only the exit status differs. */
export async function runOperationGet(deps: CommandDeps, {ref, format, log}: OperationGetOptions): Promise<ExitStatus> {
  const journal = await deps.journal();
  const operation = await journal.find(ref);
  if (log) {
    await printLog(deps, operation);
    return ExitStatus.done;
  }
  printOperation(deps, operation, format);
  return exitStatusOf([operation]);
}
