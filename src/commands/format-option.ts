import {type Command, Option} from 'commander';
import type {TableStyle} from '../ui/index.ts';
import type {CommandDeps} from './deps.ts';

/**
 * Output formats for operations: text, bkp's own JSON, or the JSON of YDB, whose statements bkp uses.
 */
export const operationFormats = ['pretty', 'json', 'proto-json-base64'] as const;
export type OperationFormat = (typeof operationFormats)[number];

export type FormatFlags = {format: OperationFormat; json?: boolean};

/** Adds `--format`, and `--json` (hidden) for `--format json`. */
export function addFormatOption(command: Command): Command {
  return command
    .addOption(new Option('--format <format>', 'output format').choices(operationFormats).default('pretty'))
    .addOption(new Option('--json', 'the same as --format json').hideHelp());
}

export function formatOf({format, json}: FormatFlags): OperationFormat {
  return json ? 'json' : format;
}

/** Tables fit the terminal; if stdout is not a terminal, nothing wraps. */
export function tableStyle({stdout, colors}: Pick<CommandDeps, 'stdout' | 'colors'>): TableStyle {
  return {terminalColumns: stdout.isTTY ? stdout.columns : undefined, colors};
}
