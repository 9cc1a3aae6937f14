import type {Store} from './store.ts';

/**
 * The same store with some members replaced by `own`. Wrappers are built with this one function, so that a member
 * that is added to the interface is forwarded by all of them.
 */
export function wrapStore(store: Store, own: Partial<Store>): Store {
  const {putParts, retain, refusesConditions, howToEncrypt, sweep, traffic} = store;
  return {
    description: store.description,
    properties: store.properties,
    put: (key, body, options) => store.put(key, body, options),
    get: (key, range) => store.get(key, range),
    list: (prefix, options) => store.list(prefix, options),
    delete: (keys) => store.delete(keys),
    stat: (key) => store.stat(key),
    // Whoever replaces `put` sees every object.
    ...(putParts === undefined || own.put !== undefined
      ? {}
      : {putParts: (key, parts, options) => putParts.call(store, key, parts, options)}),
    ...(retain === undefined ? {} : {retain: (keys) => retain.call(store, keys)}),
    ...(refusesConditions === undefined ? {} : {refusesConditions: () => refusesConditions.call(store)}),
    ...(howToEncrypt === undefined ? {} : {howToEncrypt: () => howToEncrypt.call(store)}),
    ...(sweep === undefined ? {} : {sweep: () => sweep.call(store)}),
    ...(traffic === undefined ? {} : {traffic: () => traffic.call(store)}),
    ...own,
  };
}
