import {expect, test} from 'vitest';
import type {ByteRange, Store} from '../../src/stores/index.ts';

const bytes = (text: string) => Buffer.from(text);
const text = async (store: Store, key: string, range?: ByteRange) =>
  Buffer.from(await store.get(key, range)).toString();

async function keys(store: Store, prefix: string, after?: string): Promise<string[]> {
  const found: string[] = [];
  for await (const {key} of store.list(prefix, {after})) found.push(key);
  return found;
}

/** What every store must do. `open` returns an empty store; the caller removes it. */
export function storeContract(open: () => Promise<Store>): void {
  test('a put object reads back, as a whole and in ranges', async () => {
    const store = await open();
    expect(await store.put('a/b.json', bytes('0123456789'))).toBe('written');
    expect(await text(store, 'a/b.json')).toBe('0123456789');
    expect(await text(store, 'a/b.json', {start: 0, end: 1})).toBe('0');
    expect(await text(store, 'a/b.json', {start: 3, end: 10})).toBe('3456789');
    expect(await text(store, 'a/b.json', {start: 4, end: 4})).toBe('');
    await store.put('empty', bytes(''));
    expect(await text(store, 'empty')).toBe('');
  });

  test('of a range that may end early there is what the object has', async () => {
    const store = await open();
    await store.put('key', bytes('0123456789'));
    expect(await text(store, 'key', {start: 4, end: 100, mayEndEarly: true})).toBe('456789');
    expect(await text(store, 'key', {start: 4, end: 6, mayEndEarly: true})).toBe('45');
    await expect(store.get('key', {start: 4, end: 100})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  });

  test('put and get copy the bytes', async () => {
    const store = await open();
    const body = bytes('hello');
    await store.put('key', body);
    body[0] = 0;
    (await store.get('key'))[1] = 0;
    expect(await text(store, 'key')).toBe('hello');
  });

  test('parts that are put become one object, each valid only until the next one', async () => {
    const store = await open();
    if (store.putParts === undefined) return;
    const shared = new Uint8Array(3);
    const parts = function* () {
      for (const part of ['abc', 'def', 'g']) {
        shared.set(bytes(part));
        yield shared.subarray(0, part.length);
      }
    };
    expect(await store.putParts('a/key', parts, {ifAbsent: true})).toBe('written');
    expect(await store.putParts('a/key', () => [bytes('other')], {ifAbsent: true})).toBe('exists');
    expect(await text(store, 'a/key')).toBe('abcdefg');
    await store.putParts('a/key', () => []);
    expect(await text(store, 'a/key')).toBe('');
  });

  test('put without ifAbsent replaces the object', async () => {
    const store = await open();
    await store.put('key', bytes('a long first value'));
    expect(await store.put('key', bytes('second'))).toBe('written');
    expect(await text(store, 'key')).toBe('second');
  });

  test('of many concurrent writers of one absent key exactly one succeeds', async () => {
    const store = await open();
    const values = Array.from({length: 16}, (_, n) => `value ${n}`);
    const outcomes = await Promise.all(values.map((value) => store.put('deep/er/key', bytes(value), {ifAbsent: true})));
    expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(1);
    expect(await text(store, 'deep/er/key')).toBe(values[outcomes.indexOf('written')]);
    expect(await store.put('deep/er/key', bytes('late'), {ifAbsent: true})).toBe('exists');
    expect(await keys(store, '')).toEqual(['deep/er/key']);
  });

  test('get throws OBJECT_MISSING for an absent object and OBJECT_DAMAGED for a range past the end', async () => {
    const store = await open();
    await store.put('a/b', bytes('12345'));
    await expect(store.get('nothing')).rejects.toMatchObject({code: 'OBJECT_MISSING', context: {key: 'nothing'}});
    // A store in a folder has something there, though no object.
    await expect(store.get('a')).rejects.toMatchObject({code: expect.stringMatching(/^OBJECT_(MISSING|DAMAGED)$/)});
    await expect(store.get('a/b/c')).rejects.toMatchObject({code: 'OBJECT_MISSING'});
    await expect(store.get('a/b', {start: 2, end: 6})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  });

  test('stat returns size and time, and undefined for an absent object', async () => {
    const store = await open();
    await store.put('a/b', bytes('12345'));
    expect(await store.stat('a/b')).toMatchObject({key: 'a/b', sizeBytes: 5, modifiedAtMs: expect.any(Number)});
    for (const absent of ['a', 'a/c', 'a/b/c', 'x']) expect(await store.stat(absent)).toBeUndefined();
  });

  test('the properties say what the store does', async () => {
    const store = await open();
    const {versions, objectLock} = store.properties;
    await store.put('a/b', bytes('12345'));
    for await (const {version} of store.list('')) expect(version !== undefined).toBe(versions);
    expect((await store.stat('a/b'))?.version !== undefined).toBe(versions);
    expect(store.retain !== undefined).toBe(objectLock);
  });

  test('stat and list return the same version, and a different one for different bytes', async () => {
    const store = await open();
    if (!store.properties.versions) return;
    const versions = async () => {
      const listed = [];
      for await (const {version} of store.list('')) listed.push(version);
      return [(await store.stat('a/b'))?.version, ...listed];
    };
    await store.put('a/b', bytes('12345'));
    const [first, ...rest] = await versions();
    expect(rest).toEqual([first]);
    await store.put('a/b', bytes('54321'));
    const [second] = await versions();
    expect(second).not.toBe(first);
  });

  test('objects of any bytes and size read back unchanged', async () => {
    const store = await open();
    for (const size of [1, 255, 64 * 1024, 3_000_001]) {
      const body = Buffer.alloc(size, Buffer.from(Array.from({length: 256}, (_, n) => n)));
      await store.put('large', body, {ifAbsent: false, retained: true});
      expect(body.equals(await store.get('large'))).toBe(true);
      expect(body.subarray(size >> 1).equals(await store.get('large', {start: size >> 1, end: size}))).toBe(true);
      expect((await store.stat('large'))?.sizeBytes).toBe(size);
    }
  });

  test('a listing during writes and removals lists every object that stays exactly once', async () => {
    const store = await open();
    const staying = ['b', 'd', 'f'];
    for (const key of ['a', 'c', 'e', ...staying]) await store.put(key, bytes(key));
    const found: string[] = [];
    for await (const {key} of store.list('')) {
      found.push(key);
      if (found.length === 1) await store.delete(['c', 'e']);
      if (found.length === 1) await store.put('d1', bytes('new'));
    }
    expect(found.filter((key) => staying.includes(key))).toEqual(staying);
    expect(new Set(found).size).toBe(found.length);
  });

  test('list sorts by key across folders, and lists only its prefix', async () => {
    const store = await open();
    const all = ['a', 'b-c', 'b.d', 'b/1', 'b/10', 'b/2/x', 'b/2-', 'b0', '.hidden/x', 'Z', 'b~', 'b%41'];
    for (const key of all) await store.put(key, bytes(key));
    expect(await keys(store, '')).toEqual([...all].sort());
    expect(await keys(store, 'b/')).toEqual(['b/1', 'b/10', 'b/2-', 'b/2/x']);
    expect(await keys(store, 'b/2/')).toEqual(['b/2/x']);
    expect(await keys(store, 'none/')).toEqual([]);
    for await (const facts of store.list('b/2/')) expect(facts.sizeBytes).toBe(5);
  });

  test('list begins after any key, whether or not there is such an object or folder', async () => {
    const store = await open();
    const all = ['a', 'b-c', 'b/1', 'b/10', 'b/2-', 'b/2/x', 'b/2/y/z', 'b0', 'c/d/e'].sort();
    for (const key of all) await store.put(key, bytes(key));
    for (const after of [...all, 'b', 'b/', 'b/2', 'b/2/', 'b/2/x/y', 'b/2/y', 'b/3', 'c', 'z', '-']) {
      for (const prefix of ['', 'b/', 'b/2/']) {
        const expected = all.filter((key) => key.startsWith(prefix) && key > after);
        expect([prefix, after, await keys(store, prefix, after)]).toEqual([prefix, after, expected]);
      }
    }
  });

  test('delete removes existing objects and ignores absent keys', async () => {
    const store = await open();
    for (const key of ['a/1', 'a/2', 'b']) await store.put(key, bytes(key));
    expect(await store.delete(['a/1', 'a/none', 'none/at/all', 'b'])).toEqual([]);
    expect(await keys(store, '')).toEqual(['a/2']);
    expect(await store.delete(['a/2', 'a/2'])).toEqual([]);
    expect(await store.delete([])).toEqual([]);
    expect(await keys(store, '')).toEqual([]);
    await store.put('a/3', bytes('again'));
    expect(await text(store, 'a/3')).toBe('again');
  });

  const outside = [
    '..',
    '../x',
    'a/../b',
    '.',
    'a/./b',
    '/etc/passwd',
    'a//b',
    '',
    'a/',
    'a\\b',
    'a\0b',
    'a\nb',
    'a b',
    'ä',
    'a:b',
    `${'x'.repeat(256)}`,
  ];
  test.each(outside)('%j is not a key and never reaches the store', async (key) => {
    const store = await open();
    const calls = [
      () => store.put(key, bytes('x')),
      () => store.get(key),
      () => store.stat(key),
      () => store.delete([key]),
    ];
    for (const call of calls) await expect((async () => call())()).rejects.toThrow('is not a key');
    expect(await keys(store, '')).toEqual([]);
  });

  test.each(['packs', '../', '/', 'a/../', 'a//'])('%j is not a prefix', async (prefix) => {
    const store = await open();
    await expect(keys(store, prefix)).rejects.toThrow('is not a prefix');
  });
}
