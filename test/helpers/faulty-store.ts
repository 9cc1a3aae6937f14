import {BkpError} from '../../src/errors/index.ts';
import {type Store, wrapStore} from '../../src/stores/index.ts';

/**
 * What happens at the chosen call: `fail`: it throws as a store that is unavailable, later ones work again;
 * `stall`: it never ends, later ones work; `end before`, `end after`: the process ends there, before or after
 * the call had its effect: it and every later call throw, and nothing reaches the store any more.
 */
export type Fault = 'fail' | 'stall' | 'end before' | 'end after';

export type FaultyStore = Store & {
  /** Calls so far, `put packs/…` and so on: their number bounds the calls worth trying. */
  readonly calls: string[];
};

/** Thrown by every call after the process "ended". */
export class ProcessEnded extends Error {
  constructor() {
    super('the process ended here');
  }
}

/**
 * A store that misbehaves at its n-th call.
 * @param options.at number of the call, from 1; 0 for never. A listing is one call.
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
    async *list(prefix) {
      const found = await guard(`list ${prefix}`, async () => {
        const all = [];
        for await (const facts of inner.list(prefix)) all.push(facts);
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
