import type {Store} from '../../../src/stores/index.ts';
import type {Vault, VaultCollector} from '../../../src/vault/index.ts';
import {fakeClock, fakeHost, open} from '../helpers.ts';

export type Call = {call: 'put' | 'delete' | 'get'; key: string};

/** Opens the vault as another process, which takes the processes in `dead` for dead. */
export function openOn(store: Store, pid: number, dead: readonly number[] = []): Promise<Vault> {
  const host = fakeHost(pid);
  for (const other of dead) host.dead.add(other);
  return open(store, {clock: fakeClock(), host, graceMs: 0});
}

/**
 * The store of a process that is paused before the first request that is chosen. `after`: what the process sent from
 * then on, without what belongs to its lease.
 */
export function pausing(store: Store, isChosen: (request: Call) => boolean) {
  let [proceed, reach] = [() => {}, () => {}];
  const free = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const after: Call[] = [];
  let isReached = false;
  const send = async (request: Call) => {
    if (isChosen(request)) {
      isReached = true;
      reach();
      await free;
    } else if (isReached && !request.key.startsWith('locks/')) after.push(request);
  };
  const paused: Store = {
    ...store,
    get: async (key, range) => {
      await send({call: 'get', key});
      return store.get(key, range);
    },
    put: async (key, body, options) => {
      const bytes = Uint8Array.from(body);
      await send({call: 'put', key});
      return store.put(key, bytes, options);
    },
    delete: async (keys) => {
      await send({call: 'delete', key: keys[0]!});
      return store.delete(keys);
    },
  };
  return {paused, proceed, reached, after};
}

/** A collector is paused before a request, taken for dead, and continues. @returns what it sent then, and its error */
export async function continued(
  store: Store,
  isChosen: (request: Call) => boolean,
  work: (of: VaultCollector) => unknown,
) {
  const {paused, proceed, reached, after} = pausing(store, isChosen);
  const collector = await (await openOn(paused, 2)).collector({purpose: 'cleanup'});
  const ending = Promise.resolve(work(collector)).catch((error: unknown) => error);
  await reached;
  await (await (await openOn(store, 3, [2])).writer({purpose: 'backup'})).close();
  proceed();
  const outcome = await ending;
  await collector.close();
  return {outcome, after};
}
