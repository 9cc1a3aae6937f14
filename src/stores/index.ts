export type {ByteRange, Key, ObjectFacts, Store} from './store.ts';
