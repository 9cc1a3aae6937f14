import type {ThreadArea} from './layout-memory.ts';

/** What all threads need; each takes one of the areas. */
export type LayoutThreadData = {
  /** The descriptor of the database file, which the main thread opens and closes. */
  file: number;
  pageSize: number;
  usableBytes: number;
  hasMaps: boolean;
  /** See PageNumbers. */
  counter: SharedArrayBuffer;
  memory: WebAssembly.Memory;
  areas: readonly ThreadArea[];
  /** How many areas have been taken: one i32. */
  areasTaken: SharedArrayBuffer;
};

/** Lay out the records of one or more chunks, which continue what came before. */
export type LayoutJob = {
  isTable: boolean;
  /** Address and length of the records. */
  at: number;
  bytes: number;
  /** Address for the marks of the leaves, see `layOut`; page numbers replace the positions of pages. */
  marks: number;
  /** Whether the tree ends with them. */
  isLast: boolean;
  /** The root page of the tree if these are all of its records: they become that page if it has room for them. */
  root: number | undefined;
};

export type LaidOut = {
  records: number;
  leaves: number;
  /** Whether the only leaf became the root. */
  isRoot: boolean;
  /** 0 in a key tree. */
  firstRowid: bigint;
  lastRowid: bigint;
  /** For pointer maps: page, type and parent of each overflow page that an inner page does not point to. */
  overflow: Uint32Array | undefined;
};

export type LayoutResult =
  | LaidOut
  | {notRecords: string}
  /** An error without what structured clones lose. */
  | {failed: {message: string; stack: string | undefined; code: unknown; errno: unknown; syscall: unknown}};
