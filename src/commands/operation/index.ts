import {Command} from 'commander';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {operationCancel} from './cancel.ts';
import {operationForget} from './forget.ts';
import {operationGet} from './get.ts';
import {operationList} from './list.ts';
import {operationThrottle} from './throttle.ts';
import {operationWait} from './wait.ts';
import {operationWatch} from './watch.ts';

/** `bkp operation …`: running and finished operations. */
export function command(deps: CommandDeps): Command {
  const group = new Command('operation')
    .summary('list, watch, wait for, cancel, throttle and forget operations')
    .description('Backups, restores, verifications and cleanups run in the background; these commands manage them.')
    .helpCommand(false)
    .addHelpText('after', helpTail(['bkp operation list', 'bkp operation watch', 'bkp operation get last']));
  for (const verb of [
    operationList,
    operationGet,
    operationWait,
    operationWatch,
    operationCancel,
    operationThrottle,
    operationForget,
  ]) {
    group.addCommand(verb(deps));
  }
  return group;
}
