import {cpSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import type {Store} from '../../src/stores/index.ts';
import {changeKeys, createKeys, parseSecret, type Secret, unlock} from '../../src/vault/index.ts';
import {exportKeys, parseExportedKeys} from '../../src/vault/keys/exported.ts';
import {withChecksum} from '../../src/vault/keys/sealed-json.ts';
import {kitCode} from '../fixtures/secrets.ts';
import {fixtureOf, folder, read} from '../reader/run.ts';
import {keysOf, newStore} from '../vault/helpers.ts';

// The checksum of slots and rings is nobody's signature: whoever has the store can write anything into them.

type Json = Record<string, unknown>;
type Path = readonly (string | number)[];

function* pathsIn(value: unknown, at: Path = []): Generator<Path> {
  if (at.length > 0) yield at;
  if (typeof value !== 'object' || value === null) return;
  for (const name of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    yield* pathsIn((value as Json)[name], [...at, name]);
  }
}

const valueAt = (json: Json, path: Path) => path.reduce<unknown>((value, name) => (value as Json)[name], json);

function withValue(json: Json, path: Path, value: unknown): Json {
  const copy = structuredClone(json);
  const holder = valueAt(copy, path.slice(0, -1)) as Json;
  if (value === undefined) delete holder[path.at(-1)!];
  else holder[path.at(-1)!] = value;
  return copy;
}

/** Bytes that are cut at each end of a nonce, a tag and a public key, or continued; a point that gives no secret. */
function otherBytes(text: string): string[] {
  const bytes = Buffer.from(text, 'base64');
  const cuts = [-1, -4, -12, -15, -16, -17, -32, 0, 4, 12, 23, 24, 28, 39, 40].map((end) => bytes.subarray(0, end));
  const zeros = Buffer.concat([bytes.subarray(0, -32), Buffer.alloc(32)]);
  return [...cuts, zeros, Buffer.concat([bytes, Buffer.alloc(16)])].map((other) => other.toString('base64'));
}

const hostile = [undefined, null, true, 0, -1, 1.5, 1e300, '', 'x', '\0', '../x', 'a'.repeat(5000), [], {}, [null]];

const othersOf = (value: unknown) => [
  ...hostile,
  ...(typeof value === 'string' && value.length >= 16 ? [...otherBytes(value), value.slice(0, -1)] : []),
];

const vault = 'ab'.repeat(16);
const key = (fill: number): Secret => ({kind: 'key', bytes: Buffer.alloc(20, fill)});
const spareOf = (name: string) => name.replace('keys/', 'keys/spare/');

async function threeSlots(): Promise<Store> {
  const store = newStore();
  await createKeys({store, nowMs: 0}, vault, {secret: key(1), label: 'first'});
  for (const secret of [key(2), parseSecret('password')]) {
    await changeKeys({store, nowMs: 0}, await unlock(store, key(1), {vault}), {add: {secret, label: 'more'}});
  }
  return store;
}

test('whatever value stands in a slot or a ring, the keys are the right ones or it is damaged', async () => {
  const store = await threeSlots();
  const right = (await unlock(store, key(1), {vault})).ring.keys;
  const names = (await keysOf(store, 'keys/')).filter((name) => /keys\/slots|00003$/.test(name));
  for (const name of names.filter((one) => !one.includes('spare'))) {
    const original = await store.get(name);
    const {checksum: _, ...json} = JSON.parse(Buffer.from(original).toString());
    const put = async (bytes: Uint8Array) => {
      for (const copy of [name, spareOf(name)]) await store.put(copy, bytes);
    };
    for (const path of pathsIn(json)) {
      for (const value of othersOf(valueAt(json, path))) {
        await put(withChecksum(withValue(json, path, value)));
        const outcomes = await Promise.all([1, 2].map((fill) => outcomeOf(store, key(fill), right)));
        // What says whose slot it is may say that it is another one's.
        const allowed = /^(kind|commitment)$/.test(path.join('.')) ? ['SECRET_WRONG'] : [];
        const what = `${path.join('.')} of ${name} = ${JSON.stringify(value)?.slice(0, 100)}`;
        for (const outcome of outcomes) expect(['opens', 'OBJECT_DAMAGED', ...allowed], what).toContain(outcome);
        if (name.includes('slots')) expect(outcomes, `${what}: another slot opens`).toContain('opens');
      }
    }
    await put(original);
  }
});

async function outcomeOf(store: Store, secret: Secret, right: unknown): Promise<string> {
  try {
    expect((await unlock(store, secret, {vault})).ring.keys).toEqual(right);
    return 'opens';
  } catch (error) {
    if (error instanceof BkpError) return error.code;
    throw error;
  }
}

test('whatever derivation a slot asks for, a password finds the slot damaged', async () => {
  const store = await threeSlots();
  const names = (await keysOf(store, 'keys/slots/')).filter((name) => !name.includes('spare'));
  for (const name of names) {
    const {checksum: _, ...json} = JSON.parse(Buffer.from(await store.get(name)).toString());
    if (json.kind !== 'password') continue;
    for (const path of pathsIn(json)) {
      if (path[0] !== 'kdf') continue;
      for (const value of hostile.filter((one) => path.length > 1 || one !== undefined)) {
        for (const copy of [name, spareOf(name)]) await store.put(copy, withChecksum(withValue(json, path, value)));
        const outcome = unlock(store, parseSecret('password'), {vault});
        await expect(outcome, `${path.join('.')} = ${JSON.stringify(value)}`).rejects.toMatchObject({
          code: 'OBJECT_DAMAGED',
        });
      }
    }
  }
});

test('whatever value stands in an export of keys, it is taken for what it is or called damaged', async () => {
  const store = await threeSlots();
  const {bytes} = await exportKeys(store, await unlock(store, key(1), {vault}), {nowMs: 0});
  const {checksum: _, ...json} = JSON.parse(bytes.toString());
  for (const path of pathsIn(json)) {
    for (const value of othersOf(valueAt(json, path))) {
      const text = withChecksum(withValue(json, path, value));
      const what = `${path.join('.')} = ${JSON.stringify(value)?.slice(0, 100)}`;
      try {
        expect(Object.keys(parseExportedKeys(text, 'keys.json').objects), what).not.toEqual([]);
      } catch (error) {
        expect(error, what).toMatchObject({code: 'OBJECT_DAMAGED'});
      }
    }
  }
  const [slot] = Object.keys(json.objects).filter((name) => name.includes('slots'));
  for (const other of [`keys/slots/../${slot}`, `keys/slots/x/${slot!.slice(-32)}`, `keys/spare${slot!.slice(4)}`]) {
    const text = withChecksum({...json, objects: {...json.objects, [other]: json.objects[slot!]}});
    expect(() => parseExportedKeys(text, 'keys.json'), other).toThrow('is not an export of keys');
  }
});

test('whatever value stands in a slot or a ring, bkp-reader opens the vault or says what is wrong', () => {
  const copy = join(folder(), 'store');
  cpSync(fixtureOf('vault-3').store, copy, {recursive: true});
  const kit = join(folder(), 'kit.txt');
  writeFileSync(kit, kitCode);
  const names = ['rings', 'slots'].flatMap((kind) => {
    const found = readdirSync(join(copy, 'keys', kind)).sort();
    return (kind === 'rings' ? found.slice(-1) : found).map((name) => `${kind}/${name}`);
  });
  let refusals = 0;
  for (const name of names) {
    const original = readFileSync(join(copy, 'keys', name));
    const {checksum: _, ...json} = JSON.parse(original.toString());
    const put = (bytes: Uint8Array) => {
      for (const place of ['keys', 'keys/spare']) writeFileSync(join(copy, place, name), bytes);
    };
    // A process each: a few values for each place.
    for (const path of pathsIn(json)) {
      const value = valueAt(json, path);
      const long = typeof value === 'string' && value.length > 32 ? otherBytes(value) : [];
      const others = [null, 1.5, ...[long[2], long[9], long[15]].filter((one) => one !== undefined)];
      for (const other of others) {
        put(withChecksum(withValue(json, path, other)));
        const {status, stderr} = read(copy, '--kit', kit);
        const what = `${path.join('.')} of ${name} = ${JSON.stringify(other)}`;
        expect(stderr, what).not.toMatch(/^ {4}at |Received/m);
        expect([0, 1], what).toContain(status);
        if (status === 1) {
          refusals += 1;
          expect(stderr, what).toMatch(/cannot be used: it|was changed|opens no slot|impossible derivation/);
        }
      }
    }
    put(original);
  }
  expect(refusals).toBeGreaterThan(0);
});
