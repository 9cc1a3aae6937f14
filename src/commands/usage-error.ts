import type {Command, CommanderError} from 'commander';
import {BkpError} from '../errors/index.ts';
import {hideSecrets} from '../lib/hide-secrets.ts';
import {shellQuoted} from '../lib/text.ts';

/**
 * The error for a command line that commander refuses. Its messages repeat words of the command line; the error has
 * none that may be a secret: a password with a space and without quotes is an argument too many, one that begins with
 * `-` an unknown option.
 * @param error of commander: `error: what`, with a suggestion in parentheses on the last line
 */
export function usageError(command: Command, error: CommanderError): BkpError {
  const [, what = '', meant] = /^(?:error: )?(.*?)(?:\n\(Did you mean ([^\n]*)\?\))?$/s.exec(error.message) ?? [];
  const help = `${pathOf(command)} --help`;
  if (error.code === 'commander.excessArguments') return excessArguments(command, help);
  if (error.code === 'commander.unknownOption') return unknownOption(command, what, meant, help);
  return new BkpError('USAGE', what, {next: suggestion(meant, help)});
}

const suggestion = (meant: string | undefined, help: string): string =>
  meant === undefined ? help : `did you mean ${meant}? See ${help}`;

function excessArguments(command: Command, help: string): BkpError {
  const taken = command.registeredArguments.length;
  const some = taken === 1 ? '1 argument' : `${taken} arguments`;
  const what = `too many arguments for '${command.name()}': it takes ${some}, and got ${command.args.length}`;
  return new BkpError('USAGE', what, {next: nextWithFewer(command, help)});
}

function nextWithFewer(command: Command, help: string): string {
  if (command.name() === 'sql')
    return `put the statement into quotes: bkp sql ${shellQuoted(statementOf(command.args))}`;
  return takesValues(command) ? `put a value with spaces into quotes; see ${help}` : help;
}

const beginsStatement = /^\s*(?:create|alter|drop|backup|restore|verify|copy|show|select|with|pin|unpin|checkpoint)\s/i;

/** The words that a shell has split, or the statements that were quoted one by one. */
function statementOf(words: readonly string[]): string {
  const text = words.join(words.every((word) => beginsStatement.test(word)) ? '; ' : ' ');
  return hideSecrets(text, 0).text;
}

function unknownOption(command: Command, what: string, meant: string | undefined, help: string): BkpError {
  if (takesValues(command)) {
    const next = `a value that begins with - comes after --: ${pathOf(command)} -- KEY VALUE; see ${help}`;
    return new BkpError('USAGE', `unknown option for '${command.name()}'`, {next});
  }
  if (what.includes('\n')) {
    const next = `put a text that begins with -- after another --: bkp sql -- '…'`;
    return new BkpError('USAGE', `unknown option for '${command.name()}'`, {next});
  }
  return new BkpError('USAGE', what.replace(/=.*$/, "=…'"), {next: suggestion(meant, help)});
}

/** `config set`: its arguments may be a password or a token. */
const takesValues = (command: Command): boolean => command.registeredArguments.some((each) => each.name() === 'value');

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
