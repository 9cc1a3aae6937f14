import {BkpError} from '../../src/errors/index.ts';
import {type Store, wrapStore} from '../../src/stores/index.ts';

/**
 * What happens at the chosen call. `fail`: it throws STORE_UNAVAILABLE, and later calls work. `stall`: it never
 * ends, and later calls work. `end before`, `end after`: the process ends there, before or after the effect of the
 * call; it and every later call throw, and none reaches the store.
 */
export type Fault = 'fail' | 'stall' | 'end before' | 'end after';

export type FaultyStore = Store & {
  /** The calls so far, as `put packs/…`; their number is the limit of `at`. */
  readonly calls: string[];
};

/** Thrown by every call after the simulated end of the process. */
export class ProcessEnded extends Error {
  constructor() {
    super('the process ended here');
  }
}

/**
 * A store that fails at its n-th call.
 * @param options.at number of the call, from 1; 0 = never. A listing is one call.
 */
export function faultyStore(inner: Store, options: {at: number; fault: Fault}): FaultyStore {
  const calls: string[] = [];
  let ended = false;

  const guard = async <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    if (ended) throw new ProcessEnded();
    calls.push(name);
    if (calls.length !== options.at) return work();
    switch (options.fault) {
      case 'fail':
        throw new BkpError('STORE_UNAVAILABLE', `the store could not ${name}`, {cause: 'a test'});
      case 'stall':
        return new Promise(() => {});
      case 'end before':
        ended = true;
        throw new ProcessEnded();
      case 'end after':
        ended = true;
        await work();
        throw new ProcessEnded();
    }
  };

  const {retain} = inner;
  const own: Partial<Store> = {
    ...(retain === undefined
      ? {}
      : {retain: (keys) => guard(`retain ${keys.join(' ')}`, () => retain.call(inner, keys))}),
    put: (key, body, putOptions) => guard(`put ${key}`, () => inner.put(key, body, putOptions)),
    get: (key, range) => guard(`get ${key}`, () => inner.get(key, range)),
    stat: (key) => guard(`stat ${key}`, () => inner.stat(key)),
    delete: (keys) => guard(`delete ${keys.join(' ')}`, () => inner.delete(keys)),
    async *list(prefix, options) {
      const found = await guard(`list ${prefix}`, async () => {
        const all = [];
        for await (const facts of inner.list(prefix, options)) all.push(facts);
        return all;
      });
      for (const facts of found) {
        if (ended) throw new ProcessEnded();
        yield facts;
      }
    },
  };
  return Object.assign(wrapStore(inner, own), {calls});
}
