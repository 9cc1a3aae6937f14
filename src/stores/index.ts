export {type DirectoryStoreOptions, openDirectoryStore} from './directory.ts';
export {type ProbePoint, probeDirectory} from './directory-probe.ts';
export {isKey} from './key.ts';
export {type MemoryStoreOptions, openMemoryStore} from './memory.ts';
export type {ByteRange, Key, ObjectFacts, PutOptions, RetainedObject, Store, Traffic} from './store.ts';
