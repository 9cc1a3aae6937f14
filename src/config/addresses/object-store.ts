import {type Credentials, hidden} from './credentials.ts';
import {describeStore, parseStore, type StoreAddress} from './store.ts';

/** The object store of a profile. Without `credentials`, the AWS SDK looks for them in its usual places. */
export type ObjectStore = {readonly address: StoreAddress; readonly credentials?: Credentials | undefined};

export const readObjectStore = (text: string, cwd: string): ObjectStore => parseStore(text, cwd);

/**
 * The complete text, secrets included; it reads back as the same store. Use it only for a profile's file and a worker's
 * environment, which only their owner can read.
 */
export const storeText = (store: ObjectStore): string => withCredentials(store, (secret) => secret);

/** The same text for people: `***` replaces each secret. */
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
