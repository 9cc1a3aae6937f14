import type {Argument, Command, Option} from 'commander';
import {printable} from '../../lib/text.ts';
import type {CommandDeps} from '../deps.ts';
import {knownValues} from './known-values.ts';

export type Grammar = {
  /** Has the global options. */
  root: Command;
  groupNames: readonly string[];
  /** @returns undefined if there is no such group */
  loadGroup: (deps: CommandDeps, name: string) => Promise<Command | undefined>;
};

/**
 * Candidates for the last word, from the same declarations as the help.
 * Empty where only a file name fits.
 */
export async function candidatesFor(deps: CommandDeps, words: readonly string[], grammar: Grammar): Promise<string[]> {
  // bash splits `--format=json` into three words.
  const plain = words.filter((word, at) => word !== '=' || at === words.length - 1);
  const current = plain.at(-1) === '=' ? '' : (plain.at(-1) ?? '');
  const {root, groupNames} = grammar;
  const place = await placeAfter(deps, plain.slice(0, -1), grammar);

  const fitting = (candidates: readonly string[]) =>
    candidates.filter((candidate) => candidate.startsWith(current) && printable(candidate) === candidate);
  if (place.valueOf !== undefined) return fitting(await valuesOf(place.valueOf, deps));
  const inline = /^(--[^=]+)=/.exec(current);
  if (inline !== null) {
    const option = optionNamed(inline[1]!, place.command, root);
    const values = option === undefined ? [] : await valuesOf(option, deps);
    return fitting(values.map((value) => `${inline[0]}${value}`));
  }
  if (current.startsWith('-')) return fitting(longOptions(place.command, root));
  if (place.command === root) return place.operands === 0 ? fitting([...groupNames, 'help']) : [];
  const verbs = place.command.createHelp().visibleCommands(place.command);
  if (verbs.length > 0) return fitting(verbs.map((verb) => verb.name()));
  const argument = argumentAt(place.command, place.operands);
  return argument === undefined ? [] : fitting(await valuesOf(argument, deps));
}

type Place = {
  /** The command that the words so far select. */
  command: Command;
  /** How many of its arguments have been typed. */
  operands: number;
  /** The option whose value the next word is. */
  valueOf: Option | undefined;
};

async function placeAfter(deps: CommandDeps, words: readonly string[], {root, loadGroup}: Grammar): Promise<Place> {
  const place: Place = {command: root, operands: 0, valueOf: undefined};
  for (const word of words) {
    if (place.valueOf !== undefined) {
      place.valueOf = undefined;
    } else if (word.startsWith('-')) {
      const option = optionNamed(word, place.command, root);
      if (option?.required) place.valueOf = option;
    } else if (!(place.command === root && word === 'help')) {
      // `help` is skipped: the words after it select commands as without it.
      const next = place.command === root ? await loadGroup(deps, word) : childNamed(place.command, word);
      if (next === undefined) place.operands += 1;
      else Object.assign(place, {command: next, operands: 0});
    }
  }
  return place;
}

function childNamed(command: Command, name: string): Command | undefined {
  return command.commands.find((child) => child.name() === name || child.aliases().includes(name));
}

function optionNamed(word: string, command: Command, root: Command): Option | undefined {
  return [...command.options, ...root.options].find(({short, long}) => word === short || word === long);
}

function longOptions(command: Command, root: Command): string[] {
  const options = [...command.options, ...(command === root ? [] : root.options)].filter(({hidden}) => !hidden);
  return [...options.flatMap(({long}) => long ?? []), '--help'];
}

/** The last argument may be variadic. */
function argumentAt(command: Command, position: number): Argument | undefined {
  const all = command.registeredArguments;
  return all[position] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
}

/** From the declared choices if there are any, else by the name. */
async function valuesOf(taker: Option | Argument, deps: CommandDeps): Promise<readonly string[]> {
  if (taker.argChoices !== undefined) return taker.argChoices;
  const find = knownValues[taker.name()];
  return find === undefined ? [] : await find(deps);
}
