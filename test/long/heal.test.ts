import {expect, test} from 'vitest';
import {heal} from '../../src/backups/index.ts';
import type {Store} from '../../src/stores/index.ts';
import type {Recipe, Vault, Verification} from '../../src/vault/index.ts';
import {type Fault, faultyStore} from '../helpers/faulty-store.ts';
import {
  backup,
  changed,
  copyOf,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  newStore,
  noise,
  open,
  readAll,
} from '../vault/helpers.ts';

// Damage is healed with what another vault has.

const first = Array.from({length: 6}, (_, seed) => noise(9_000, seed));
const second = [
  ...first.map((bytes, n) => changed(bytes, n * 5)),
  ...Array.from({length: 160}, (_, n) => Buffer.from(`row ${n}`)),
];

type Pair = {
  /** The vault that is damaged and healed, and a copy of it whose packs are others. */
  store: Store;
  other: Store;
  recipes: readonly Recipe[];
  plain: readonly Buffer[];
};

/** Differences, bases in another pack, and a list of chunks; `other` has it all in packs of its own. */
async function makePair(): Promise<Pair> {
  const [store, other] = [newStore(), newStore()];
  const vault = await open(store);
  const one = await backup(
    vault,
    'one',
    first.map((bytes) => ({bytes})),
  );
  const two = await backup(
    vault,
    'two',
    second.map((bytes, n) => ({bytes, ...(one.chunks[n] === undefined ? {} : {like: one.chunks[n]})})),
  );
  expect(two.depth).toBe(1);
  const copy = await open(other);
  const writer = await copy.writer({purpose: 'copy'});
  for (const [name, recipe] of [
    ['one', one],
    ['two', two],
  ] as const) {
    await writer.copyFrom(vault, [recipe]);
    await writer.commit(manifestKey(name), manifestOf(recipe));
  }
  await writer.close();
  return {store, other, recipes: [one, two], plain: [Buffer.concat(first), Buffer.concat(second)]};
}

async function healed(vault: Vault, from: readonly Vault[], recipes: readonly Recipe[], notices: string[] = []) {
  const tools = {
    vault,
    from,
    operation: 'verify/1',
    signal: new AbortController().signal,
    progress: () => {},
    notice: (text: string) => void notices.push(text),
  };
  const options = {level: 'data'} as const;
  const found = await vault.uncached().verify(recipes, options);
  return heal(tools, recipes, {found, options});
}

async function expectSound(store: Store, {recipes, plain}: Pair, host = fakeHost(9)) {
  const vault = await open(store, {create: false, host});
  expect(await findings(vault)).toEqual([]);
  const survey = await vault.survey();
  for (const [at, recipe] of recipes.entries()) {
    expect(await survey.faultOf([recipe])).toBeUndefined();
    expect(await survey.verifiedMs([recipe])).toBeDefined();
    expect((await readAll(vault, recipe)).equals(plain[at]!)).toBe(true);
  }
  return vault;
}

async function collect(store: Store, options: {graceMs?: number}): Promise<void> {
  const collector = await (await open(store, options)).collector({purpose: 'cleanup'});
  await collector.execute(await collector.plan());
  await collector.close();
}

const packs = (store: Store) => keysOf(store, 'packs/');
const flip = async (store: Store, key: string, at: number) => {
  const bytes = Buffer.from(await store.get(key));
  bytes[at % bytes.length]! ^= 1;
  await store.put(key, bytes);
};

const damages: Record<string, (store: Store) => Promise<unknown>> = {
  'a flipped bit in each pack': async (store) => {
    for (const key of await packs(store)) await flip(store, key, 4_321);
  },
  'a pack that is gone': async (store) => store.delete([(await packs(store))[0]!]),
  'all packs gone': async (store) => store.delete(await packs(store)),
  'all packs and indexes gone': async (store) =>
    store.delete([...(await packs(store)), ...(await keysOf(store, 'index/'))]),
  'a truncated pack': async (store) => {
    const [key] = await packs(store);
    await store.put(key!, (await store.get(key!)).slice(0, 2_000));
  },
  'a damaged table': async (store) => {
    for (const key of await packs(store)) await flip(store, key, (await store.get(key)).length - 40);
  },
};

test.each(Object.entries(damages))('%s is healed: every backup is sound, verified and read back', async (_, damage) => {
  const pair = await makePair();
  const before = await keysOf(pair.store, 'packs/');
  const contents = await Promise.all(before.map((key) => pair.store.get(key)));
  await damage(pair.store);
  const notices: string[] = [];
  const result = await healed(await open(pair.store), [await open(pair.other)], pair.recipes, notices);
  expect(result.findings).toEqual([]);
  expect(result.coverage.neverBytes).toBe(0);
  expect(notices.join()).toMatch(/^healed: \d+ chunks?, .* stored again; read from /);
  await expectSound(pair.store, pair);
  // A healed object is another one: nothing is overwritten.
  const now = await Promise.all(before.map((key) => pair.store.get(key).catch(() => undefined)));
  if (_ === 'a flipped bit in each pack')
    expect(now.every((bytes, at) => !Buffer.from(bytes!).equals(contents[at]!))).toBe(true);
  // Damaged packs are not needed any more, and a cleanup removes them with their notes.
  const damaged = (await packs(pair.store)).filter((key) => before.includes(key));
  const verified = async () => (await open(pair.store)).uncached().verify(pair.recipes, {level: 'data'});
  // Until then a verification names them, and fails for nothing.
  const named = (await verified()).harmless.map(({key}) => key);
  expect(damaged.filter((key) => named.includes(key)).length).toBe(_.includes('gone') ? 0 : named.length);
  await collect(pair.store, {});
  expect(await packs(pair.store)).toEqual(expect.arrayContaining(damaged));
  await collect(pair.store, {graceMs: 0});
  if (!_.includes('gone')) expect((await packs(pair.store)).filter((key) => named.includes(key))).toEqual([]);
  expect(await keysOf(pair.store, 'damaged/')).toEqual([]);
  expect(await verified()).toMatchObject({findings: [], harmless: []});
  await expectSound(pair.store, pair);
});

test('what is intact in a damaged pack is taken from it, and what no vault has is named', async () => {
  const pair = await makePair();
  const empty = newStore();
  const other = await open(empty);
  // It has the first backup only.
  const writer = await other.writer({purpose: 'a part'});
  await writer.copyFrom(await open(pair.other), [pair.recipes[0]!]);
  await writer.flush();
  await writer.close();
  await damages['a flipped bit in each pack']!(pair.store);
  const before = (await (await open(pair.store)).uncached().verify(pair.recipes, {level: 'data'})).findings;
  expect(before.length).toBeGreaterThanOrEqual(2);
  const left: Verification = await healed(await open(pair.store), [other], pair.recipes);
  expect(left.findings.length).toBeGreaterThan(0);
  expect(left.findings.length).toBeLessThan(before.length + 1);
  const vault = await open(pair.store);
  const survey = await vault.survey();
  expect(await survey.faultOf([pair.recipes[0]!])).toBeUndefined();
  expect((await readAll(vault, pair.recipes[0]!)).equals(pair.plain[0]!)).toBe(true);
  expect(await survey.faultOf([pair.recipes[1]!])).toMatchObject({code: 'OBJECT_DAMAGED'});
});

test('damage in the other vault is not copied, and does not keep the rest from being healed', async () => {
  const pair = await makePair();
  await damages['all packs gone']!(pair.store);
  const [key] = await packs(pair.other);
  await flip(pair.other, key!, 1_000);
  const left = await healed(await open(pair.store), [await open(pair.other)], pair.recipes);
  expect(left.unreliable.length).toBeGreaterThan(0);
  expect(left.unreliable.length).toBeLessThan(20);
  const third = await copyOf(pair.other);
  await flip(third, key!, 1_000);
  expect((await healed(await open(pair.store), [await open(third)], pair.recipes)).findings).toEqual([]);
  await expectSound(pair.store, pair);
});

test.each<Fault>(['end after', 'fail'])(
  'a heal that meets “%s” at any store call leaves what the next one heals',
  async (fault) => {
    const pair = await makePair();
    await damages['a flipped bit in each pack']!(pair.store);
    const attempt = async (store: Store, pid: number) =>
      healed(
        await open(store, {create: false, host: fakeHost(pid), clock: fakeClock()}),
        [await open(pair.other)],
        pair.recipes,
      );
    const counting = faultyStore(await copyOf(pair.store), {at: 0, fault});
    await attempt(counting, 1);
    expect(counting.calls.length).toBeGreaterThan(20);
    for (let at = 1; at <= counting.calls.length; at++) {
      const store = await copyOf(pair.store);
      await attempt(faultyStore(store, {at, fault}), 1).catch(() => {});
      const host = {...fakeHost(2), isAlive: () => false};
      const vault = await open(store, {create: false, host});
      const result = await healed(vault, [await open(pair.other)], pair.recipes);
      expect(result.findings, counting.calls[at - 1]).toEqual([]);
      await expectSound(store, pair, host as never);
    }
  },
);
