import {assertKey, assertPrefix} from '../key.ts';
import {objectMissing, objectTooShort} from '../object-errors.ts';
import type {
  ByteRange,
  Key,
  ListOptions,
  ObjectFacts,
  PutOptions,
  RetainedObject,
  Store,
  StoreProperties,
  Traffic,
} from '../store.ts';
import {S3Connection} from './connection/connection.ts';
import {S3Remover} from './delete.ts';
import {getObject} from './get.ts';
import {listObjects} from './list.ts';
import {extendLocks} from './object-lock.ts';
import type {S3StoreOptions} from './options.ts';
import {putObject} from './put.ts';
import {statObject} from './stat.ts';

/**
 * A store in a bucket of an S3 server. Nothing is sent before the first call.
 * @throws BkpError `STORE_UNAVAILABLE` if no region is known or the certificate file cannot be read
 */
export async function openS3Store(options: S3StoreOptions): Promise<Store> {
  const store = new S3Store(await S3Connection.open(options), options);
  const {lockDays} = options;
  if (lockDays === undefined) return store;
  return Object.assign(store, {retain: (keys: readonly Key[]) => store.extend(keys, lockDays)});
}

export {loadSdk} from './connection/connection.ts';

class S3Store implements Store {
  readonly description: string;
  readonly properties: StoreProperties;
  readonly #connection: S3Connection;
  readonly #options: Pick<S3StoreOptions, 'bucket' | 'endpoint' | 'emptyPagesAtMost'>;
  readonly #rootPrefix: string;
  readonly #lockDays: number | undefined;
  readonly #remover: S3Remover;
  readonly #unreadable = new Set<Key>();

  constructor(connection: S3Connection, options: S3StoreOptions) {
    const {root, lockDays} = options;
    this.#connection = connection;
    this.#options = options;
    this.description = connection.description;
    this.properties = {versions: true, flatListing: true, objectLock: lockDays !== undefined, repeatsPuts: true};
    this.#rootPrefix = root === '' ? '' : `${root}/`;
    this.#lockDays = lockDays;
    this.#remover = new S3Remover(connection, this.#path, lockDays !== undefined);
  }

  readonly #path = (key: Key): string => {
    assertKey(key);
    return this.#rootPrefix + key;
  };

  async put(key: Key, body: Uint8Array, {ifAbsent = false, retained = false, onRepeated}: PutOptions = {}) {
    const path = this.#path(key);
    return putObject(this.#connection, {
      key,
      path,
      body,
      ifAbsent,
      lockDays: retained ? this.#lockDays : undefined,
      onRepeated,
    });
  }

  async get(key: Key, range?: ByteRange): Promise<Uint8Array> {
    const place = {pathOf: this.#path, rootPrefix: this.#rootPrefix, unreadable: this.#unreadable};
    if (range === undefined || range.start < range.end) return getObject(this.#connection, key, place, range);
    // HTTP has no empty range.
    const facts = await this.stat(key);
    if (facts === undefined) throw objectMissing(key, this.description);
    if (range.end > facts.sizeBytes) throw objectTooShort(key, facts.sizeBytes, range);
    return new Uint8Array(0);
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectFacts> {
    assertPrefix(prefix);
    const {emptyPagesAtMost} = this.#options;
    const wanted = emptyPagesAtMost === undefined ? options : {...options, emptyPagesAtMost};
    yield* listObjects(this.#connection, this.#rootPrefix, prefix, wanted);
  }

  async delete(keys: readonly Key[]): Promise<readonly RetainedObject[]> {
    for (const key of keys) assertKey(key);
    return this.#remover.remove([...new Set(keys)]);
  }

  async stat(key: Key): Promise<ObjectFacts | undefined> {
    return statObject(this.#connection, key, this.#path(key));
  }

  async extend(keys: readonly Key[], days: number): Promise<void> {
    await extendLocks(this.#connection, [...new Set(keys)], {
      days,
      pathOf: this.#path,
      missing: (key) => objectMissing(key, this.description),
    });
  }

  refusesConditions(): boolean {
    return !this.#connection.has('conditions');
  }

  async howToEncrypt(): Promise<string | undefined> {
    const {encryptionAtRest, turnOn} = await import('./bucket-settings.ts');
    const {isOn} = await encryptionAtRest(this.#connection);
    return isOn === false ? turnOn(this.#options) : undefined;
  }

  traffic(): Traffic {
    return this.#connection.traffic();
  }
}
