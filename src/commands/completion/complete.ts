import {Command} from 'commander';
import {ExitStatus} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {candidatesFor, type Grammar} from './candidates.ts';

export type CompleteOptions = {words: readonly string[]; grammar: Grammar};

/** `bkp __complete -- WORD…`: prints candidates for the last word; called by the shells' scripts. */
export function completeCommand(deps: CommandDeps, grammar: Grammar, run = runComplete): Command {
  return new Command('__complete')
    .description('Print candidates for the last word, for the scripts of bkp completion.')
    .argument('[word...]', 'words after bkp; the last one is being typed')
    .action(async (words: string[]) => deps.exitWith(await run(deps, {words, grammar})));
}

/** Never fails and prints nothing else, because the user is typing a line. */
export async function runComplete(deps: CommandDeps, {words, grammar}: CompleteOptions): Promise<ExitStatus> {
  const candidates = await candidatesFor(deps, words, grammar).catch(() => []);
  deps.stdout.write(candidates.map((candidate) => `${candidate}\n`).join(''));
  return ExitStatus.done;
}
