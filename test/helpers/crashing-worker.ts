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
import {type Store, wrapStore} from '../../src/stores/index.ts';

const [statement = '', at = '0'] = process.argv.slice(2);
let calls = 0;

function beforeEachCall(): void {
  calls++;
  if (calls === Number(at)) process.kill(process.pid, 'SIGKILL');
}

function crashing(store: Store): Store {
  const {retain} = store;
  return wrapStore(store, {
    put: async (key, body, options) => {
      beforeEachCall();
      return store.put(key, body, options);
    },
    get: async (key, range) => {
      beforeEachCall();
      return store.get(key, range);
    },
    async *list(prefix, options) {
      beforeEachCall();
      yield* store.list(prefix, options);
    },
    delete: async (keys) => {
      beforeEachCall();
      return store.delete(keys);
    },
    stat: async (key) => {
      beforeEachCall();
      return store.stat(key);
    },
    ...(retain === undefined
      ? {}
      : {
          retain: async (keys) => {
            beforeEachCall();
            return retain.call(store, keys);
          },
        }),
  });
}

const deps = await openRealDeps({color: false}, (status) => {
  process.exitCode = status;
});
// Only the worker gets the crashing store; the statement itself is not under test.
const {operation} = await execute({...deps, startWorker: async () => {}}, parse(statement)[0]!);
await runWorker(
  {...deps, openStore: async (address, options) => crashing(await deps.openStore(address, options))},
  {number: operation!.number},
);
deps.close();
console.log(calls);
