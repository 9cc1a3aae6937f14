import type {ProbePoint} from './probe-point.ts';
import type {S3StoreOptions} from './s3/options.ts';
import type {Store} from './store.ts';

export {type DirectoryStoreOptions, openDirectoryStore} from './directory/directory.ts';
export {probeDirectory} from './directory/probe.ts';
export {isKey} from './key.ts';
export {type MemoryStoreOptions, openMemoryStore} from './memory.ts';
export {objectTooShort} from './object-errors.ts';
export {type ProbePoint, probeKey} from './probe-point.ts';
export {notKept, notWritten, putAndRead, requireWritten} from './put-and-read.ts';
export {putContent} from './put-content.ts';
export {removeIfAllowed} from './remove-if-allowed.ts';
export type {S3Credentials, S3Limits, S3StoreOptions, S3Timeouts} from './s3/options.ts';
export type {
  ByteRange,
  Key,
  ListOptions,
  ObjectFacts,
  PutOptions,
  RetainedObject,
  Store,
  StoreLayout,
  StoreProperties,
  Traffic,
} from './store.ts';
export {wrapStore} from './wrap-store.ts';

// A directory needs neither the client of object stores nor node:http, and both take long to load.

/** See `openS3Store` in s3/s3.ts. */
export async function openS3Store(options: S3StoreOptions): Promise<Store> {
  return (await import('./s3/s3.ts')).openS3Store(options);
}

/** Loads the client of object stores, for a store that will probably be opened soon. */
export async function loadS3(): Promise<void> {
  await (await import('./s3/s3.ts')).loadSdk();
}

/** See `probeS3` in s3/probe.ts. */
export async function probeS3(options: S3StoreOptions): Promise<readonly ProbePoint[]> {
  return (await import('./s3/probe.ts')).probeS3(options);
}
