/**
 * node crashing-worker.ts STATEMENT N
 *
 * Starts the statement's operation as bkp does and executes it in this process, which kills itself (SIGKILL) right
 * before its N-th store call, like a power cut. N = 0: never. Prints the number of store calls if it finishes.
 */

import {execute} from '../../src/app/statements/execute.ts';
import {runWorker} from '../../src/commands/worker/index.ts';
import {openRealDeps} from '../../src/compose.ts';
import {parse} from '../../src/sql/index.ts';
import {killedAtCall} from './crashing-store.ts';

const [statement = '', at = '0'] = process.argv.slice(2);
const crash = killedAtCall(Number(at));

const deps = await openRealDeps({color: false}, (status) => {
  process.exitCode = status;
});
// Only the worker gets the crashing store; the statement itself is not under test.
const {operation} = await execute({...deps, startWorker: async () => {}}, parse(statement)[0]!);
await runWorker(
  {...deps, openStore: async (address, options) => crash.wrap(await deps.openStore(address, options))},
  {number: operation!.number},
);
deps.close();
console.log(crash.calls());
