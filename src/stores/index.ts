export {type DirectoryStoreOptions, openDirectoryStore} from './directory.ts';
export {type ProbePoint, probeDirectory} from './directory-probe.ts';
export {isKey} from './key.ts';
export {type MemoryStoreOptions, openMemoryStore} from './memory.ts';
export {openS3Store} from './s3.ts';
export type {S3Credentials, S3Limits, S3StoreOptions, S3Timeouts} from './s3-options.ts';
export {probeKey, probeS3} from './s3-probe.ts';
export type {ByteRange, Key, ObjectFacts, PutOptions, RetainedObject, Store, Traffic} from './store.ts';
