import {Command} from 'commander';
import {BkpError, ExitStatus} from '../../errors/index.ts';
import {
  defaultPageSize,
  kindsUnder,
  type OperationKind,
  operationKinds,
  parseKind,
  parsePageToken,
} from '../../ops/index.ts';
import {renderOperationList, renderOperationListLine} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {addFormatOption, type FormatFlags, formatOf, type OperationFormat, tableStyle} from '../format-option.ts';
import {helpTail} from '../help.ts';

export type OperationListOptions = {
  /** Absent: all kinds. */
  kind?: OperationKind | undefined;
  pageSize: number;
  /** Counted from 1. */
  page: number;
  format: OperationFormat;
};

type Flags = FormatFlags & {pageSize: string; pageToken?: string};

export function operationList(deps: CommandDeps, run = runOperationList): Command {
  const command = new Command('list')
    .description('List operations, newest first.')
    .argument('[kind]', `only this kind: ${operationKinds.join(', ')}; incbackup means all backups of collections`)
    .option('-s, --page-size <number>', 'operations per page, 1 to 100', String(defaultPageSize))
    .option('-t, --page-token <token>', 'which page: the token that the previous page printed')
    .addHelpText(
      'after',
      helpTail(['bkp operation list incbackup', 'bkp operation list --format json'], ['done', 'usage', 'refused']),
    )
    .action(async (kind: string | undefined, flags: Flags) => {
      deps.exitWith(
        await run(deps, {
          kind: kind === undefined ? undefined : parseKind(kind),
          pageSize: parsePageSize(flags.pageSize),
          page: parsePageToken(flags.pageToken),
          format: formatOf(flags),
        }),
      );
    });
  return addFormatOption(command);
}

export async function runOperationList(deps: CommandDeps, options: OperationListOptions): Promise<ExitStatus> {
  const {kind, page, pageSize, format} = options;
  const journal = await deps.journal();
  const found = await journal.list({page, pageSize, kinds: kind && kindsUnder(kind)});
  const text =
    format === 'pretty' ? renderOperationList(found, tableStyle(deps)) : renderOperationListLine(found, format);
  deps.stdout.write(text);
  return ExitStatus.done;
}

/** Any whole number; the journal limits it to the largest page size. */
function parsePageSize(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) === 0) {
    throw new BkpError('USAGE', `Invalid page size: ${JSON.stringify(text)}`, {next: 'type a number from 1 to 100'});
  }
  return Number(text);
}
