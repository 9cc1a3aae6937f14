import {describe, expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import {commitmentOf} from '../../../src/vault/crypto/derive.ts';
import {SealKeys} from '../../../src/vault/crypto/frame.ts';
import {openObject, sealObject} from '../../../src/vault/crypto/small-object.ts';
import {hashHex} from '../../../src/vault/format/hash.ts';
import {
  changeKeys,
  createKeys,
  mendKeys,
  newKey,
  openVault,
  openWithSlot,
  parseSecret,
  type Secret,
  unlock,
} from '../../../src/vault/index.ts';
import {newRawKey, newRoot, parseRing, ringKey, sealRing} from '../../../src/vault/keys/ring.ts';
import {withChecksum} from '../../../src/vault/keys/sealed-json.ts';
import {keyCode} from '../../../src/vault/keys/secret.ts';
import {backup, changed, copyOf, encryptedWith, findings, keysOf, newStore, noise, testKey} from '../helpers.ts';

const vault = 'ab'.repeat(16);
const key = (fill: number): Secret => ({kind: 'key', bytes: Buffer.alloc(20, fill)});
const tools = (store: Store) => ({store, nowMs: 0});

async function made(secret: Secret = key(1)) {
  const store = newStore();
  const {ring} = await createKeys(tools(store), vault, {secret, label: 'first'});
  return {store, ring, pin: {generation: 1, commitment: ring.keys.commitment}};
}

test('a key reads back from its code in any case and with other separators, and no wrong character is taken', () => {
  const {secret, code} = newKey();
  if (secret.kind !== 'key') throw new Error('it is a key');
  expect(code).toMatch(/^BKP-KEY1(-[A-Z2-7]{4}){9}$/);
  for (const written of [code, code.toLowerCase(), ` ${code} `, code.replaceAll('O', '0').replaceAll('I', '1')]) {
    expect(parseSecret(written)).toEqual({kind: 'key', bytes: Buffer.from(secret.bytes)});
  }
  const start = 'BKP-KEY1-'.length;
  for (let at = start; at < code.length; at++) {
    if (code[at] === '-') continue;
    const other = code[at] === 'A' ? 'B' : 'A';
    expect(() => parseSecret(code.slice(0, at) + other + code.slice(at + 1))).toThrow('the key is mistyped');
  }
  expect(() => parseSecret(code.slice(0, -1))).toThrow('the key is mistyped');
  expect(keyCode(secret.bytes)).toBe(code);
});

test('a password is one text, however its characters are composed', () => {
  expect(parseSecret('cafe\u0301')).toEqual(parseSecret('caf\u00e9'));
});

describe('a vault’s keys', () => {
  test('open with their secret, and with no other one', async () => {
    const {store, ring} = await made();
    expect((await unlock(store, key(1), {vault})).ring.keys).toEqual(ring.keys);
    await expect(unlock(store, key(2), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
    await expect(unlock(store, parseSecret('x'), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
  });

  test('survive the loss of, and damage to, any one object', async () => {
    const {store, ring} = await made();
    await changeKeys(tools(store), await unlock(store, key(1), {vault}), {add: {secret: key(2), label: 'second'}});
    for (const lost of await keysOf(store)) {
      const original = await store.get(lost);
      for (const bytes of [undefined, changed(original, 40), original.subarray(0, -1), Buffer.alloc(0)]) {
        if (bytes === undefined) await store.delete([lost]);
        else await store.put(lost, bytes);
        for (const fill of [1, 2]) {
          expect((await unlock(store, key(fill), {vault})).ring.keys.names).toBe(ring.keys.names);
        }
        expect(await mendKeys(store, vault, {ring})).toEqual([lost]);
        expect(Buffer.compare(await store.get(lost), original)).toBe(0);
      }
    }
  });

  test('are called damaged, and never the secret wrong, if a byte changes in both copies', async () => {
    const {store} = await made();
    for (const one of (await keysOf(store)).filter((name) => !name.includes('spare'))) {
      const spare = one.replace('keys/', 'keys/spare/');
      const original = await store.get(one);
      for (let at = 0; at < original.length; at += 1 + Math.floor(original.length / 300)) {
        await store.put(one, changed(original, at));
        await store.put(spare, changed(original, at));
        const outcome = await unlock(store, key(1), {vault}).catch((error: {code: string}) => error.code);
        expect(outcome, `byte ${at} of ${one}`).toBe('OBJECT_DAMAGED');
        const other = await unlock(store, key(2), {vault}).catch((error: {code: string}) => error.code);
        expect(other, `byte ${at} of ${one}`).toBe('OBJECT_DAMAGED');
      }
      await store.put(one, original);
      await store.put(spare, original);
    }
  });

  test('are refused when someone who knows the public keys made the ring', async () => {
    const {store, ring} = await made();
    const root = newRoot();
    const mine = {names: newRawKey(vault, 0).key, data: [newRawKey(vault, 0)], meta: [newRawKey(vault, 0)]};
    const invented = {...ring, link: {...ring.link, root: newRoot().toString('hex')}};
    const second = sealRing({vault, root, before: invented, keys: mine, slots: ring.slots});
    await store.put(ringKey(2), second.bytes);
    await expect(unlock(store, key(1), {vault})).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringContaining('someone else made it'),
    });
    await store.delete([ringKey(2)]);
    const first = sealRing({vault, root, keys: mine, slots: ring.slots});
    await store.put(ringKey(1), first.bytes);
    await expect(unlock(store, key(1), {vault})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    expect(commitmentOf(root, vault)).toBe(first.ring.keys.commitment);
  });

  test('are refused when they are newer and do not follow from the ring that was seen', async () => {
    const {pin} = await made();
    // Anyone can make a slot for a public key, of age or a service: here it is the same secret.
    const {store: forged} = await made();
    await changeKeys(tools(forged), await unlock(forged, key(1), {vault}), {rotate: {data: true, meta: true}});
    await expect(unlock(forged, key(1), {vault, pin})).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      message: expect.stringContaining('are others than before'),
    });
    const {slot} = await unlock(forged, key(1), {vault});
    await expect(openWithSlot(forged, slot, {vault, pin})).rejects.toMatchObject({code: 'STORE_REFUSED'});
  });

  test('are refused when they are older than the ring that was seen, or another one', async () => {
    const {store, pin} = await made();
    const before = await copyOf(store);
    const {ring} = await changeKeys(tools(store), await unlock(store, key(1), {vault}), {
      rotate: {data: true, meta: true},
    });
    const now = {generation: 2, commitment: ring.keys.commitment};
    await expect(unlock(before, key(1), {vault, pin: now})).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      message: expect.stringContaining('are older than before'),
      cause: 'ring 1 is the newest, but this machine has seen ring 2: the store was rolled back',
    });
    await unlock(store, key(1), {vault, pin: now});
    await unlock(store, key(1), {vault, pin});
    await changeKeys(tools(before), await unlock(before, key(1), {vault}), {rotate: {data: true, meta: true}});
    await expect(unlock(before, key(1), {vault, pin: now})).rejects.toMatchObject({code: 'STORE_REFUSED'});
  });

  test('are refused as others, and not as damaged, when one that does not open replaced their ring', async () => {
    const {store, ring, pin} = await made();
    const keys = {names: newRawKey(vault, 0).key, data: [newRawKey(vault, 0)], meta: [newRawKey(vault, 0)]};
    const forged = sealRing({vault, root: newRoot(), keys, slots: ring.slots});
    for (const copy of [ringKey(1), ringKey(1).replace('keys/', 'keys/spare/')]) await store.put(copy, forged.bytes);
    await expect(unlock(store, key(1), {vault, pin})).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      message: expect.stringContaining('are others than before'),
    });
    await expect(unlock(store, key(1), {vault})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  });

  test('open beside a thousand other slots, of which a wrong secret tries only some', async () => {
    const {store} = await made();
    for (let n = 0; n < 1000; n++) await store.put(`keys/slots/${n.toString(16).padStart(32, '0')}`, Buffer.from('{}'));
    let reads = 0;
    const counting = wrapStore(store, {
      get: async (name, range) => {
        reads += 1;
        return store.get(name, range);
      },
    });
    await unlock(counting, key(1), {vault});
    expect(reads).toBeLessThan(10);
    await expect(unlock(counting, key(2), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
    expect(reads).toBeLessThan(100);
  });

  test('of a ring with a thousand slots are refused before one of them is tried', async () => {
    const {store} = await made();
    const {checksum: _, ...ring} = JSON.parse(Buffer.from(await store.get(ringKey(1))).toString());
    const [slot] = ring.slots;
    const forged = withChecksum({...ring, generation: 2, slots: Array.from({length: 1000}, () => slot)});
    await store.put(ringKey(2), forged);
    await expect(unlock(store, key(1), {vault})).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringContaining('it is not a ring'),
    });
  });

  test('of a lost ring are named as missing', async () => {
    const {store} = await made();
    for (const one of await keysOf(store, 'keys/')) if (one.includes('rings')) await store.delete([one]);
    await expect(unlock(store, key(1), {vault})).rejects.toMatchObject({code: 'OBJECT_MISSING'});
  });
});

describe('a change of the keys', () => {
  test('adds and removes slots without the secrets of the others', async () => {
    const {store} = await made();
    await changeKeys(tools(store), await unlock(store, key(1), {vault}), {add: {secret: key(2), label: 'second'}});
    const {added} = await changeKeys(tools(store), await unlock(store, key(2), {vault}), {
      add: {secret: key(3), label: 'third'},
    });
    const {ring} = await unlock(store, key(1), {vault});
    expect(ring.slots.map(({label}) => label)).toEqual(['first', 'second', 'third']);
    await changeKeys(tools(store), await unlock(store, key(1), {vault}), {
      remove: [added!.id],
      rotate: {data: true, meta: true},
    });
    await expect(unlock(store, key(3), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
    expect((await unlock(store, key(2), {vault})).ring.keys.data).toHaveLength(2);
    expect((await keysOf(store)).filter((name) => name.includes(added!.id))).toEqual([]);
  });

  test('never removes the last slot', async () => {
    const {store, ring} = await made();
    const from = await unlock(store, key(1), {vault});
    await expect(changeKeys(tools(store), from, {remove: [ring.slots[0]!.id]})).rejects.toMatchObject({
      code: 'PRECONDITION',
    });
  });

  test('is refused if another one was faster, and changes nothing', async () => {
    const {store} = await made();
    const from = await unlock(store, key(1), {vault});
    await changeKeys(tools(store), from, {add: {secret: key(2), label: 'a'}});
    await expect(changeKeys(tools(store), from, {add: {secret: key(3), label: 'b'}})).rejects.toMatchObject({
      code: 'BUSY',
    });
    await expect(unlock(store, key(3), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
    await unlock(store, key(2), {vault});
  });

  test('made twice at once succeeds once, even if conditions are ignored and one is paused', async () => {
    const settle = async () => {};
    for (let at = 1; ; at++) {
      const {store: inner} = await made();
      const store = {...inner, put: (name: string, body: Uint8Array) => inner.put(name, body)};
      const from = await unlock(store, key(1), {vault});
      const begin = (in_: Store, fill: number) =>
        changeKeys({...tools(in_), settle}, from, {
          add: {secret: key(fill), label: `${fill}`},
          rotate: {data: true, meta: true},
        }).then(
          () => 'done',
          ({code}: {code: string}) => code,
        );
      let other: string | undefined;
      const paused = pausedAt(store, at, async () => {
        other = await begin(store, 3);
      });
      const outcomes = [await begin(paused, 2), other];
      const opened = [];
      for (const fill of [2, 3]) {
        const found = await unlock(store, key(fill), {vault}).catch(() => undefined);
        if (found !== undefined) opened.push(found.ring.keys);
      }
      const wanted = other === undefined ? ['done', undefined] : expect.arrayContaining(['done', 'BUSY']);
      expect(outcomes, `paused at call ${at}`).toEqual(wanted);
      expect(opened, `paused at call ${at}`).toHaveLength(1);
      expect(opened[0]!.data).toHaveLength(2);
      expect(await mendKeys(store, vault, {isTrial: true, ring: {}}), `paused at call ${at}`).toEqual([]);
      if (other === undefined) break;
    }
  });

  test('by an access key that may not remove objects is made, and says that it is not complete', async () => {
    const {store} = await made();
    const from = await unlock(store, key(1), {vault});
    const denied = new BkpError('STORE_DENIED', 'the access key may not remove objects');
    const appendOnly = wrapStore(store, {delete: () => Promise.reject(denied)});
    const change = {add: {secret: key(2), label: 'new'}, remove: [from.ring.slots[0]!.id]};
    expect(await changeKeys(tools(appendOnly), from, change)).toMatchObject({isTwice: true, isComplete: false});
    const again = await unlock(store, key(2), {vault});
    expect(await changeKeys(tools(store), again, {forget: []})).toMatchObject({isTwice: true, isComplete: true});
    expect((await keysOf(store, 'keys/')).filter((name) => name.includes('slots/'))).toHaveLength(2);
  });

  test('that ends at any store call leaves a vault that opens with the old or the new secret', async () => {
    const {store} = await made();
    const {ring} = await unlock(store, key(1), {vault});
    const change = {
      add: {secret: key(2), label: 'new'},
      remove: [ring.slots[0]!.id],
      rotate: {data: true, meta: true},
    };
    const opens = async (in_: Store) => {
      const outcomes = [];
      for (const fill of [1, 2]) {
        outcomes.push(
          await unlock(in_, key(fill), {vault}).then(
            () => true,
            (error: {code: string}) => error.code,
          ),
        );
      }
      return outcomes;
    };
    for (let calls = 1; ; calls++) {
      const copy = await copyOf(store);
      const from = await unlock(copy, key(1), {vault});
      const ended = await changeKeys(tools(endsAfter(copy, calls)), from, change).then(
        ({isComplete}) => !isComplete,
        () => true,
      );
      const [old, fresh] = await opens(copy);
      expect(
        [old, fresh].filter((outcome) => outcome === true),
        `after ${calls} calls`,
      ).toHaveLength(1);
      if (!ended) {
        expect([old, fresh]).toEqual(['SECRET_WRONG', true]);
        break;
      }
      // Whoever can open it can change the keys again.
      const again = await unlock(copy, key(old === true ? 1 : 2), {vault});
      await changeKeys(tools(copy), again, {add: {secret: key(4), label: 'later'}});
      await unlock(copy, key(4), {vault});
    }
  });
});

/** A store that runs something else before its nth call. */
function pausedAt(inner: Store, at: number, run: () => Promise<void>): Store {
  let calls = 0;
  const paused = async <T>(call: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls === at) await run();
    return call();
  };
  return {
    ...inner,
    put: (...args) => paused(() => inner.put(...args)),
    get: (...args) => paused(() => inner.get(...args)),
    stat: (...args) => paused(() => inner.stat(...args)),
    delete: (...args) => paused(() => inner.delete(...args)),
  };
}

/** A store whose process is killed before its nth call. */
function endsAfter(inner: Store, calls: number): Store {
  let left = calls;
  const guard = <T>(call: () => T): T => {
    left -= 1;
    if (left <= 0) throw new Error('killed');
    return call();
  };
  return {
    ...inner,
    put: async (...args) => guard(() => inner.put(...args)),
    get: async (...args) => guard(() => inner.get(...args)),
    stat: async (...args) => guard(() => inner.stat(...args)),
    delete: async (...args) => guard(() => inner.delete(...args)),
  };
}

test('a creation that ends at any store call is finished by the next one', async () => {
  for (let calls = 1; ; calls++) {
    const store = newStore();
    const encryption = encryptedWith(testKey);
    const ended = await openVault({store: endsAfter(store, calls), create: true, encryption}).then(
      (opened) => {
        opened.close();
        return false;
      },
      () => true,
    );
    const opened = await openVault({store, create: true, encryption});
    await backup(opened, '20250101000000Z_full', [{bytes: noise(1000, 1)}]);
    expect(await findings(opened)).toEqual([]);
    opened.close();
    if (!ended) break;
  }
});

test('concurrent creators make one vault, which all of them use', async () => {
  const store = newStore();
  const vaults = await Promise.all(
    [1, 2, 3].map(() => openVault({store, create: true, encryption: encryptedWith(testKey)})),
  );
  expect(new Set(vaults.map(({id}) => id)).size).toBe(1);
  expect(new Set(vaults.map(({encryption}) => encryption!.fingerprint)).size).toBe(1);
});

test('an encrypted vault without a secret is refused, and nothing is written', async () => {
  const store = newStore();
  (await openVault({store, create: true, encryption: encryptedWith(testKey)})).close();
  const before = await keysOf(store);
  await expect(openVault({store, create: true})).rejects.toMatchObject({code: 'SECRET_MISSING'});
  expect(await keysOf(store)).toEqual(before);
  expect(parseRing(await store.get(ringKey(1)), ringKey(1), undefined).generation).toBe(1);
});

test('a slot of a kind that only a newer bkp knows does not keep the other slots from opening', async () => {
  const {store} = await made();
  const newer = {kind: 'tpm', wrap: async () => ({blob: 'x'}), unwrap: async () => undefined} as unknown as Secret;
  await changeKeys(tools(store), await unlock(store, key(1), {vault}), {add: {secret: newer, label: 'newer'}});
  const {ring} = await unlock(store, key(1), {vault});
  expect(ring.slots.map(({kind}) => kind)).toEqual(['key', 'tpm']);
  await expect(unlock(store, key(2), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
  await expect(unlock(store, parseSecret('x'), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
  await changeKeys(tools(store), await unlock(store, key(1), {vault}), {rotate: {data: true, meta: true}});
  expect((await unlock(store, key(1), {vault})).ring.slots).toEqual(ring.slots);
  expect(await mendKeys(store, vault)).toEqual([]);
});

test('a vault with an encryption that only a newer bkp knows is refused as such, and nothing is written', async () => {
  const store = newStore();
  (await openVault({store, create: true, encryption: encryptedWith(testKey)})).close();
  const {checksum: _, ...header} = JSON.parse(Buffer.from(await store.get('bkp.json')).toString());
  const newer = {...header, encryption: 'bkp-2'};
  const bytes = Buffer.from(JSON.stringify({...newer, checksum: hashHex(Buffer.from(JSON.stringify(newer)))}, null, 2));
  await store.put('bkp.json', bytes);
  const before = await keysOf(store);
  await expect(openVault({store, create: true, encryption: encryptedWith(testKey)})).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('was written by a newer bkp (encryption bkp-2)'),
    next: 'install the newest bkp',
  });
  expect(await keysOf(store)).toEqual(before);
  expect(Buffer.compare(await store.get('bkp.json'), bytes)).toBe(0);
});

test('equal messages have equal bytes, any other one has another nonce, and opens only where it belongs', () => {
  const raw = [newRawKey(vault, 0), newRawKey(vault, 0)];
  const other = 'cd'.repeat(16);
  const seals = [
    {keys: raw.slice(0, 1), in: vault, key: 'index/a', content: 'one'},
    {keys: raw.slice(1), in: vault, key: 'index/a', content: 'one'},
    {keys: raw.slice(0, 1), in: other, key: 'index/a', content: 'one'},
    {keys: raw.slice(0, 1), in: vault, key: 'index/b', content: 'one'},
    {keys: raw.slice(0, 1), in: vault, key: 'index/a', content: 'two'},
    {keys: raw.slice(0, 1), in: vault, key: 'index/a', content: 'one\0'},
  ];
  const sealed = seals.map((one) =>
    sealObject(new SealKeys(one.keys, one.in), one.in, one.key, Buffer.from(one.content)),
  );
  const nonces = sealed.map((bytes) => bytes.subarray(16, 40).toString('hex'));
  expect(new Set(nonces).size).toBe(seals.length);
  const again = sealObject(new SealKeys(raw.slice(0, 1), vault), vault, 'index/a', Buffer.from('one'));
  expect(Buffer.compare(again, sealed[0]!)).toBe(0);
  for (const one of seals.slice(1, 4)) {
    expect(() => openObject(new SealKeys(one.keys, one.in), one.in, one.key, sealed[0]!)).toThrow('is damaged');
  }
});
