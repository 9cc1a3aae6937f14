import {type Credentials, hidden} from './credentials.ts';
import {describeStore, parseStore, type StoreAddress} from './store-address.ts';

/** The object store of a profile. Its credentials are absent when the text has none: the tools of AWS know where to look. */
export type ObjectStore = {readonly address: StoreAddress; readonly credentials?: Credentials};

export const readObjectStore = (text: string, cwd: string): ObjectStore => parseStore(text, cwd);

/**
 * The whole text, secrets included; reads back as the same store. For a profile's file and a worker's environment, which
 * only their owner may read, and nothing else.
 */
export const storeText = (store: ObjectStore): string => withCredentials(store, (secret) => secret);

/** The same for people: `***` stands where a secret is. */
export const showObjectStore = (store: ObjectStore): string => withCredentials(store, () => hidden);

function withCredentials({address, credentials}: ObjectStore, show: (secret: string) => string): string {
  const text = describeStore(address);
  if (credentials === undefined) return text;
  const {accessKeyId, secretAccessKey, sessionToken} = credentials;
  const pairs = [
    ['access_key_id', accessKeyId],
    ['secret_access_key', secretAccessKey],
    ['session_token', sessionToken],
  ].flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${show(value)}`]));
  return `${text.endsWith(';') ? text : `${text};`}${pairs.join(';')};`;
}
