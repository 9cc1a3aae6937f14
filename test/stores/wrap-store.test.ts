import {expect, test} from 'vitest';
import {openMemoryStore, type Store, wrapStore} from '../../src/stores/index.ts';
import {storeContract} from './contract.ts';

storeContract(async () => wrapStore(openMemoryStore(), {}));

/** Has every member of the interface; the private field fails a call that is forwarded without its object. */
class FullStore implements Required<Store> {
  readonly description = 'full';
  readonly properties = {versions: true, flatListing: true, objectLock: true};
  readonly #calls: string[] = [];
  get calls() {
    return this.#calls;
  }
  #note<T>(call: string, result: T): T {
    this.#calls.push(call);
    return result;
  }
  put = (key: string) => Promise.resolve(this.#note<'written'>(`put ${key}`, 'written'));
  putParts = (key: string) => Promise.resolve(this.#note<'written'>(`putParts ${key}`, 'written'));
  get = (key: string) => Promise.resolve(this.#note(`get ${key}`, new Uint8Array()));
  async *list(prefix: string, {after = ''} = {}) {
    yield this.#note(`list ${prefix} ${after}`, {key: 'a', sizeBytes: 0, modifiedAtMs: 0});
  }
  async delete(keys: readonly string[]) {
    return this.#note(`delete ${keys}`, []);
  }
  async stat(key: string) {
    return this.#note(`stat ${key}`, undefined);
  }
  async retain(keys: readonly string[]) {
    this.#note(`retain ${keys}`, undefined);
  }
  refusesConditions() {
    return this.#note('refusesConditions', true);
  }
  async howToEncrypt() {
    return this.#note('howToEncrypt', undefined);
  }
  async sweep() {
    this.#note('sweep', undefined);
  }
  traffic() {
    return this.#note('traffic', {requests: {}, sentBytes: 0, receivedBytes: 0});
  }
}

test('a wrapper forwards every member that it does not replace', async () => {
  const full = new FullStore();
  const wrapped = wrapStore(full, {get: async () => Uint8Array.of(1)});
  expect(wrapped.description).toBe('full');
  expect(wrapped.properties).toEqual(full.properties);
  await wrapped.put('a', new Uint8Array());
  await wrapped.putParts?.('a', () => []);
  expect(await wrapped.get('a')).toEqual(Uint8Array.of(1));
  for await (const _ of wrapped.list('p/', {after: 'p/a'}));
  await wrapped.delete(['a']);
  await wrapped.stat('a');
  await wrapped.retain?.(['a']);
  expect(wrapped.refusesConditions?.()).toBe(true);
  await wrapped.howToEncrypt?.();
  await wrapped.sweep?.();
  wrapped.traffic?.();
  expect(full.calls).toEqual([
    'put a',
    'putParts a',
    'list p/ p/a',
    'delete a',
    'stat a',
    'retain a',
    'refusesConditions',
    'howToEncrypt',
    'sweep',
    'traffic',
  ]);
});

test('a wrapper has no optional member that the store lacks', () => {
  const wrapped = wrapStore(openMemoryStore(), {});
  expect([wrapped.retain, wrapped.refusesConditions, wrapped.traffic]).toEqual([undefined, undefined, undefined]);
});

test('a wrapper that replaces put is passed by no object', () => {
  expect(wrapStore(new FullStore(), {put: async () => 'exists'}).putParts).toBeUndefined();
});
