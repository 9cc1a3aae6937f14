import {expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import {type Store, wrapStore} from '../../src/stores/index.ts';
import {testDeps} from '../helpers/deps.ts';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

/** Every call from the n-th on fails. */
function losable(inner: Store, next: () => boolean): Store {
  const check = () => {
    if (next()) throw new BkpError('STORE_UNAVAILABLE', 'the store is gone', {cause: 'a test'});
  };
  return wrapStore(inner, {
    put: async (key, body, options) => {
      check();
      return inner.put(key, body, options);
    },
    get: async (key, range) => {
      check();
      return inner.get(key, range);
    },
    stat: async (key) => {
      check();
      return inner.stat(key);
    },
    delete: async (keys) => {
      check();
      return inner.delete(keys);
    },
    async *list(prefix, options) {
      check();
      yield* inner.list(prefix, options);
    },
  });
}

const reportsOf = (desk: Desk) => desk.storedKeys().filter((key) => key.includes('_restore_passed_'));

test.each([
  {what: 'collection', before: [createC(true), 'BACKUP c'], drill: "VERIFY c WITH (LEVEL='restore')"},
  {what: 'database', before: ['BACKUP DATABASE'], drill: "VERIFY DATABASE WITH (LEVEL='restore')"},
])(
  'a drill of a $what that loses its store at any call: a report that passed means an operation that did',
  async ({before: statements, drill}) => {
    const desk = openDesk();
    const base = testDeps(desk.home);
    Object.assign(base.env, {
      BKP_SOURCE: desk.database,
      BKP_CLUSTER: desk.cluster,
      BKP_STORE: `fs::root=${desk.cluster}`,
    });
    const at = {calls: 0, from: Number.POSITIVE_INFINITY};
    const {run} = runDirectly(desk, {
      settings: base.settings,
      openStore: async (address, options) =>
        losable(await base.openStore(address, options), () => ++at.calls >= at.from),
    });
    for (const statement of statements) await run(statement);
    at.calls = 0;
    await run(drill);
    const {calls} = at;
    expect(calls).toBeGreaterThan(8);
    let [passed, failed] = [0, 0];
    for (let from = 1; from <= calls; from++) {
      const before = reportsOf(desk);
      Object.assign(at, {calls: 0, from});
      const error = await run(drill).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      const left = reportsOf(desk).length - before.length;
      if (error === undefined) passed += 1;
      else failed += 1;
      // A drill that passed and whose report could not be stored says so with its result.
      expect(left, `lost at call ${from} of ${calls}: ${error}`).toBeLessThanOrEqual(error === undefined ? 1 : 0);
    }
    expect(failed).toBeGreaterThan(3);
    expect(passed).toBeGreaterThan(0);
    base.close();
  },
);
