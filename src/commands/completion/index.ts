import {Argument, Command} from 'commander';
import {ExitStatus} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {completionScripts, type Shell, shells} from './scripts.ts';

/** `bkp completion SHELL`: prints the completion script for a shell. */
export function command(deps: CommandDeps, run = runCompletion): Command {
  return new Command('completion')
    .description('Print a shell script that completes commands, options, operations, collections and profiles.')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .addHelpText(
      'after',
      helpTail(
        ['source <(bkp completion bash)', 'bkp completion fish > ~/.config/fish/completions/bkp.fish'],
        ['done', 'usage'],
      ),
    )
    .action(async (shell: Shell) => deps.exitWith(await run(deps, {shell})));
}

export async function runCompletion(deps: CommandDeps, {shell}: {shell: Shell}): Promise<ExitStatus> {
  deps.stdout.write(completionScripts[shell]);
  return ExitStatus.done;
}
