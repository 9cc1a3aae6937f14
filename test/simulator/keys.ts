import type {Key, Store} from '../../src/stores/index.ts';
import {commitmentOf} from '../../src/vault/crypto/derive.ts';
import {SealKeys} from '../../src/vault/crypto/frame.ts';
import {HiddenNames} from '../../src/vault/crypto/hidden-names.ts';
import {PackOpener} from '../../src/vault/crypto/pack-object.ts';
import {openObject} from '../../src/vault/crypto/small-object.ts';
import {idOfKey, type RawKey} from '../../src/vault/crypto/vault-keys.ts';
import {readHeader} from '../../src/vault/format/header.ts';
import {headerKey, keysPrefix, packsPrefix} from '../../src/vault/format/key.ts';
import {changeKeys, type Secret, unlock, type VaultEncryption} from '../../src/vault/index.ts';
import {putRing, putSlotObject} from '../../src/vault/keys/key-objects.ts';
import {sealRing} from '../../src/vault/keys/ring.ts';
import {encodeSlot, makeSlot} from '../../src/vault/keys/slot.ts';
import type {Random} from './random.ts';
import type {Disk} from './store.ts';

type Member = {secret: Secret; slot: string};

/** Who can open the vaults of a simulated world. The owner's key is never removed. */
export class Keys {
  readonly random: Random;
  readonly owner: Secret;
  /** Whose addition was reported as successful, and whose removal has never begun. */
  readonly members: Member[] = [];
  /** Whose removal was reported as successful. */
  readonly removed: Member[] = [];

  constructor(random: Random) {
    this.random = random;
    this.owner = this.#newSecret();
  }

  #bytes = (length: number) => Buffer.from(this.random.hex(2 * length), 'hex');

  #newSecret = (): Secret => ({kind: 'key', bytes: this.#bytes(20)});

  #rawKey(vault: string): RawKey {
    const key = this.#bytes(32);
    return {id: idOfKey(key, vault), key: key.toString('hex'), since: '2026-11-27T00:00:00.000Z'};
  }

  /** @param secret default: the owner's */
  encryption(secret = this.owner): VaultEncryption {
    return {
      isWanted: true,
      unlock: async (store, vault) => (await unlock(store, secret, {vault})).ring.keys,
      create: (store, vault) => this.#create(store, vault),
    };
  }

  /** As bkp does, but with a key of names that is the seed's: it decides the order of listings. */
  async #create(store: Store, vault: string) {
    const root = this.#bytes(32);
    const {slot, publicKey} = await makeSlot(vault, this.owner, undefined, {
      generation: 1,
      commitment: commitmentOf(root, vault),
    });
    const keys = {names: this.random.hex(64), data: [this.#rawKey(vault)], meta: [this.#rawKey(vault)]};
    const info = {id: slot.id, kind: 'key' as const, label: 'owner', created: '', public: publicKey.toString('base64')};
    const {ring, bytes} = sealRing({vault, root, keys, slots: [info]});
    await putSlotObject(store, slot.id, encodeSlot(slot));
    await putRing(store, 1, bytes);
    return ring.keys;
  }

  /** One of those that should be able to open a vault. */
  anyone(): Secret {
    return this.random.pick([this.owner, this.owner, ...this.members.map(({secret}) => secret)]);
  }

  async add(store: Store, vault: string): Promise<void> {
    const secret = this.#newSecret();
    const from = await unlock(store, this.anyone(), {vault});
    const {added} = await changeKeys({store, nowMs: 0}, from, {add: {secret, label: 'member'}});
    this.members.push({secret, slot: added!.id});
  }

  async remove(store: Store, vault: string): Promise<void> {
    if (this.members.length === 0) return;
    const member = this.random.pick(this.members);
    const from = await unlock(store, this.owner, {vault});
    this.members.splice(this.members.indexOf(member), 1);
    await changeKeys({store, nowMs: 0}, from, {remove: [member.slot], rotate: {data: true, meta: true}});
    this.removed.push(member);
  }

  async rotate(store: Store, vault: string, {all = false} = {}): Promise<void> {
    const from = await unlock(store, this.anyone(), {vault});
    const rotate = {data: all || this.random.chance(0.7), meta: all || this.random.chance(0.7)};
    await changeKeys({store, nowMs: 0}, from, {rotate});
  }

  /** As the worker does at the end of a re-encryption. */
  async retire(store: Store, vault: string, generation: number): Promise<boolean> {
    const from = await unlock(store, this.owner, {vault});
    if (from.ring.keys.generation !== generation) return false;
    await changeKeys({store, nowMs: 0}, from, {reencryption: 'done'});
    return true;
  }

  /** @returns what is wrong with who can open the vault, undefined if nothing is */
  async check(store: Store, vault: string): Promise<string | undefined> {
    for (const {secret, slot} of this.members) {
      const fault = await unlock(store, secret, {vault}).then(
        () => undefined,
        (error: Error) => error.message,
      );
      if (fault !== undefined) return `slot ${slot} was added, and does not open the vault: ${fault}`;
    }
    for (const {secret, slot} of this.removed) {
      const code = await unlock(store, secret, {vault}).then(
        () => 'it opens the vault',
        (error: {code: string}) => error.code,
      );
      if (code !== 'SECRET_WRONG') return `slot ${slot} was removed: ${code}`;
    }
    return undefined;
  }
}

type Opened = {key: Key; bytes: Uint8Array};

/** What is in the store of an encrypted vault, opened with all of its keys. Everything must open. */
export class OpenedView {
  readonly #owner: Secret;
  readonly #opened = new WeakMap<Uint8Array, Opened>();
  #open: ((key: Key, bytes: Uint8Array) => Opened) | undefined;
  #rings = 0;

  constructor(owner: Secret) {
    this.#owner = owner;
  }

  async objects({raw}: Disk): Promise<ReadonlyMap<Key, {bytes: Uint8Array}>> {
    const rings = [...raw.objects.keys()].filter((key) => key.includes('/rings/')).length;
    if (rings === 0) return new Map();
    if (rings !== this.#rings) this.#open = await this.#opener(raw);
    this.#rings = rings;
    const inside = [...raw.objects].filter(([key]) => key !== headerKey && !key.startsWith(keysPrefix));
    return new Map(
      inside.map(([key, {bytes}]) => {
        const opened = this.opened(key, bytes);
        return [opened.key, opened];
      }),
    );
  }

  opened(key: Key, bytes: Uint8Array): Opened {
    const known = this.#opened.get(bytes) ?? this.#open!(key, bytes);
    this.#opened.set(bytes, known);
    return known;
  }

  async #opener(raw: Store) {
    const {id: vault} = (await readHeader(raw))!;
    const {keys} = (await unlock(raw, this.#owner, {vault})).ring;
    const names = new HiddenNames(Buffer.from(keys.names, 'hex'), vault);
    const meta = new SealKeys(keys.meta, vault);
    const packs = new PackOpener(new SealKeys(keys.data, vault), vault);
    return (stored: Key, bytes: Uint8Array): Opened => {
      const key = names.show(stored);
      if (key === undefined) throw new Error(`${stored} is a name that the vault does not hide`);
      if (key.startsWith(packsPrefix)) return {key, bytes: packs.open(key, bytes.subarray(16), 0).plain};
      return {key, bytes: openObject(meta, vault, key, bytes)};
    };
  }
}
