import {Command} from 'commander';
import type {Deps} from '../../app/deps.ts';
import {ExitStatus} from '../../errors/index.ts';
import {commandGroups, rootCommand} from '../program.ts';
import {candidatesFor} from './candidates.ts';

/** `bkp __complete -- WORD…`: what the shells' scripts ask; prints what may stand in the place of the last word. */
export function command(deps: Deps, run = runComplete): Command {
  return new Command('__complete')
    .description('Print what may stand in the place of the last word. For the scripts of bkp completion.')
    .argument('[word...]', 'the words after bkp; the last one is being typed')
    .action(async (words: string[]) => deps.exitWith(await run(deps, {words})));
}

/** Never fails and says nothing else: whoever presses Tab is in the middle of a line. */
export async function runComplete(deps: Deps, {words}: {words: readonly string[]}): Promise<ExitStatus> {
  const root = rootCommand();
  const loadGroup = async (name: string) => {
    const group = commandGroups.find((known) => known.name === name && !known.hidden);
    return group === undefined ? undefined : (await group.load()).command(deps);
  };
  const groupNames = commandGroups.filter(({hidden}) => !hidden).map(({name}) => name);
  const candidates = await candidatesFor(words, {deps, root, groupNames, loadGroup}).catch(() => []);
  deps.stdout.write(candidates.map((candidate) => `${candidate}\n`).join(''));
  return ExitStatus.done;
}
