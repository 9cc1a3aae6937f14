/**
 * node crashing-command.ts N ARGUMENT…
 *
 * Runs a command of bkp, and the operation that it starts, in this process, which kills itself (SIGKILL) right before
 * its N-th store call. N = 0: never. Prints the number of store calls if it finishes.
 */

import type {CommandDeps} from '../../src/commands/deps.ts';
import {runProgram} from '../../src/commands/program.ts';
import {runWorker} from '../../src/commands/worker/index.ts';
import {openRealDeps} from '../../src/compose.ts';
import type {OperationNumber} from '../../src/ops/index.ts';
import {killedAtCall} from './crashing-store.ts';

const [at = '0', ...args] = process.argv.slice(2);
const crash = killedAtCall(Number(at));
const real = await openRealDeps({color: false}, (status) => {
  process.exitCode = status;
});
let started: OperationNumber | undefined;
const deps: CommandDeps = {
  ...real,
  openStore: async (address, options) => crash.wrap(await real.openStore(address, options)),
  startWorker: async ({number}) => {
    started = number;
  },
};
await runProgram(args, {openDeps: async () => deps, write: () => {}, columns: 80, version: () => ''});
if (started !== undefined) await runWorker(deps, {number: started});
real.close();
console.log(crash.calls());
