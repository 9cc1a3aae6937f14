import {type Command, Option} from 'commander';
import type {TableStyle} from '../ui/index.ts';
import type {CommandDeps} from './deps.ts';

/**
 * How operations are printed: for people, in bkp's own JSON, or in the JSON of the system whose statements bkp
 * speaks.
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

/** Tables fit the terminal; where stdout is none, nothing wraps. */
export function tableStyle({stdout, colors}: Pick<CommandDeps, 'stdout' | 'colors'>): TableStyle {
  return {terminalColumns: stdout.isTTY ? stdout.columns : undefined, colors};
}
