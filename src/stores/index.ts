export {type DirectoryStoreOptions, openDirectoryStore} from './directory/directory.ts';
export {probeDirectory} from './directory/probe.ts';
export {isKey} from './key.ts';
export {type MemoryStoreOptions, openMemoryStore} from './memory.ts';
export type {ProbePoint} from './probe-point.ts';
export {putContent} from './put-content.ts';
export {removeIfAllowed} from './remove-if-allowed.ts';
export type {S3Credentials, S3Limits, S3StoreOptions, S3Timeouts} from './s3/options.ts';
export {probeKey, probeS3} from './s3/probe.ts';
export {openS3Store} from './s3/s3.ts';
export type {
  ByteRange,
  Key,
  ObjectFacts,
  PutOptions,
  RetainedObject,
  Store,
  StoreProperties,
  Traffic,
} from './store.ts';
export {wrapStore} from './wrap-store.ts';
