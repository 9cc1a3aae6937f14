import {type Store, wrapStore} from '../../src/stores/index.ts';
import {SealKeys} from '../../src/vault/crypto/frame.ts';
import {sealPack} from '../../src/vault/crypto/pack-object.ts';
import {idOfKey, type RawKey} from '../../src/vault/crypto/vault-keys.ts';
import {headerKey, packsPrefix} from '../../src/vault/format/key.ts';
import {sealedStore, type VaultKeys} from '../../src/vault/index.ts';

const vault = '5e'.repeat(16);

const rawKey = (fill: number): RawKey => {
  const key = Buffer.alloc(32, fill);
  return {id: idOfKey(key, vault), key: key.toString('hex'), since: '2026-11-27T00:00:00.000Z'};
};

const keys: VaultKeys = {
  ...{vault, generation: 1, commitment: '00'.repeat(32), names: '01'.repeat(32)},
  ...{data: [rawKey(2), rawKey(3)], meta: [rawKey(4), rawKey(5)]},
};

/**
 * A store that seals what it holds, for tests that put objects of any kind. It takes the header as well, and packs
 * that do not match their names, which tests put as damage.
 */
export function sealedForTests(inner: Store): Store {
  const sealed = sealedStore(inner, keys);
  const data = new SealKeys(keys.data, vault);
  const storeOf = (key: string) => (key === headerKey ? inner : sealed);
  return wrapStore(sealed, {
    put: async (key, body, options) =>
      key.startsWith(packsPrefix)
        ? inner.put(key, sealPack(data, vault, key, body), options)
        : storeOf(key).put(key, body, options),
    get: (key, range) => storeOf(key).get(key, range),
    async *list(prefix, options) {
      const {after = ''} = options ?? {};
      let header = headerKey.startsWith(prefix) && after < headerKey ? await inner.stat(headerKey) : undefined;
      for await (const facts of sealed.list(prefix, options)) {
        if (header !== undefined && facts.key > headerKey) {
          yield header;
          header = undefined;
        }
        yield facts;
      }
      if (header !== undefined) yield header;
    },
    stat: (key) => storeOf(key).stat(key),
    delete: async (removed) => {
      const staying = await inner.delete(removed.filter((key) => key === headerKey));
      return [...staying, ...(await sealed.delete(removed.filter((key) => key !== headerKey)))];
    },
  });
}
